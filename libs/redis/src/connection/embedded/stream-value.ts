/** A stream: entries in order of their ids, and groups that hand them out. */
import type { Bytes } from './byte-string.js';
import { IdTable, type Identified } from './id-table.js';
import { LOWEST_ID } from './stream-id.js';
import { MEMBER_WEIGHT, STRING_WEIGHT, type Collection } from './value.js';

export interface StreamEntry extends Identified {
  readonly fields: readonly Bytes[];
}

export interface Consumer {
  readonly name: Bytes;
  /** When it was last heard of, in milliseconds of the server's clock. */
  seenAt: number;
}

/** An entry that was handed out and not acknowledged. */
export interface Pending extends Identified {
  consumer: Consumer;
  deliveredAt: number;
  deliveries: number;
}

const ENTRY_WEIGHT = MEMBER_WEIGHT + 64;
const PENDING_WEIGHT = MEMBER_WEIGHT + 48;

export class ConsumerGroup {
  readonly consumers = new Map<Bytes, Consumer>();
  readonly pending = new IdTable<Pending>();
  lastId: bigint;
  /** Entries handed out so far, where that is known. */
  entriesRead: number | undefined;

  constructor(lastId: bigint) {
    this.lastId = lastId;
  }

  consumer(name: Bytes, now: number): Consumer {
    const known = this.consumers.get(name);
    const consumer = known ?? { name, seenAt: now };
    consumer.seenAt = now;
    if (known === undefined) this.consumers.set(name, consumer);
    return consumer;
  }

  pendingOf(consumer: Consumer): Pending[] {
    return this.pending.all().filter((pending) => pending.consumer === consumer);
  }
}

export class StreamValue implements Collection {
  readonly type = 'stream';
  readonly entries = new IdTable<StreamEntry>();
  readonly groups = new Map<Bytes, ConsumerGroup>();
  lastId = LOWEST_ID;
  maxDeletedId = LOWEST_ID;
  entriesAdded = 0;
  #weight = 0;

  /** One more than its entries: an empty stream stays, with its last id and its groups. */
  get size(): number {
    return this.entries.size + 1;
  }

  get weight(): number {
    let pending = 0;
    for (const group of this.groups.values()) pending += group.pending.size + group.consumers.size;
    return this.#weight + this.groups.size * MEMBER_WEIGHT + pending * PENDING_WEIGHT;
  }

  add(id: bigint, fields: readonly Bytes[]): void {
    this.entries.add({ id, fields });
    this.lastId = id;
    this.entriesAdded += 1;
    this.#weight += weightOf(fields);
  }

  delete(id: bigint): boolean {
    const entry = this.entries.delete(id);
    if (entry === undefined) return false;
    this.#weight -= weightOf(entry.fields);
    if (id > this.maxDeletedId) this.maxDeletedId = id;
    return true;
  }

  /** Removes from the front while `surplus` says so, at most `limit` entries; answers how many. */
  trim(surplus: (first: StreamEntry) => boolean, limit: number): number {
    let removed = 0;
    for (let { first } = this.entries; first !== undefined && removed < limit; { first } = this.entries) {
      if (!surplus(first)) break;
      this.entries.delete(first.id);
      this.#weight -= weightOf(first.fields);
      removed += 1;
    }
    return removed;
  }

  clone(): StreamValue {
    const copy = new StreamValue();
    for (const { id, fields } of this.entries.all()) copy.add(id, fields);
    copy.lastId = this.lastId;
    copy.maxDeletedId = this.maxDeletedId;
    copy.entriesAdded = this.entriesAdded;
    for (const [name, group] of this.groups) copy.groups.set(name, cloneGroup(group));
    return copy;
  }
}

function cloneGroup(group: ConsumerGroup): ConsumerGroup {
  const copy = new ConsumerGroup(group.lastId);
  copy.entriesRead = group.entriesRead;
  for (const { name, seenAt } of group.consumers.values()) copy.consumer(name, seenAt);
  for (const pending of group.pending.all()) {
    copy.pending.add({ ...pending, consumer: copy.consumer(pending.consumer.name, pending.consumer.seenAt) });
  }
  return copy;
}

function weightOf(fields: readonly Bytes[]): number {
  return fields.reduce((sum, field) => sum + STRING_WEIGHT + field.length, ENTRY_WEIGHT);
}
