/** What an entry can hold. A string is its bytes; everything else is a collection that knows its own weight. */
import type { Bytes } from './byte-string.js';

export type ValueType = 'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream';

export interface Collection {
  readonly type: ValueType;
  /** Members, fields or elements; with none left, the collection is removed with its key. */
  readonly size: number;
  /** Estimated bytes in memory. */
  readonly weight: number;
  clone(): Collection;
}

export type Value = Bytes | Collection;

/** A class of collection, as the way to ask for one: `keyspace.read(key, HashValue)`. */
export type CollectionKind<T extends Collection> = new () => T;

export function typeOf(value: Value): ValueType {
  return typeof value === 'string' ? 'string' : value.type;
}

/** Per entry: the entry itself, its place in the table and in the Map, and the key's header. */
const ENTRY_WEIGHT = 160;
/** Per string: header and slack. */
export const STRING_WEIGHT = 16;
/** Per member of a collection: its place in a Map or array, and headers. */
export const MEMBER_WEIGHT = 48;

export function weigh(key: Bytes, value: Value): number {
  return (
    ENTRY_WEIGHT + key.length + (typeof value === 'string' ? STRING_WEIGHT + value.length : value.weight)
  );
}
