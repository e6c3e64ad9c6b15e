/** How a session's data becomes fields of its hash: each bound to its session and its name, so none can be moved. */
import { encodeJson, type Codec } from '../codec/index.js';
import type { Arg } from '../connection/index.js';
import { InvalidSessionDataError } from './session.errors.js';
import { dataField, dataNames, META_FIELD, type SessionData, type SessionMeta } from './session.js';
import type { Loaded } from './session.scripts.js';

/** More fields than these do not fit into one step of a script, and are no session any more. */
const MOST_FIELDS = 1_000;

export interface Unsealed {
  readonly meta: SessionMeta;
  readonly data: SessionData;
  readonly known: ReadonlyMap<string, string>;
}

export class SessionSeal {
  readonly #codec: Codec;
  readonly #namespace: string;

  constructor(codec: Codec, namespace: string) {
    this.#codec = codec;
    this.#namespace = namespace;
  }

  /** Of a whole session. What is in it is read before the first wait, as it is by `data`. */
  async whole(key: string, meta: SessionMeta, data: SessionData): Promise<readonly Arg[]> {
    return (await Promise.all([this.data(key, data), this.#meta(key, meta)])).flat();
  }

  async #meta(key: string, meta: SessionMeta): Promise<readonly Arg[]> {
    return [META_FIELD, await this.#codec.encode(meta, this.#context(key, META_FIELD))];
  }

  /** Name and bytes in turn, of these fields. */
  async data(key: string, data: SessionData, names = namesOf(data)): Promise<readonly Arg[]> {
    const sealed = await Promise.all(
      names.map(async (name) => {
        const field = dataField(name);
        return [field, await this.#codec.encode(data[name], this.#context(key, field))];
      }),
    );
    return sealed.flat();
  }

  /** @throws InvalidSessionDataError when what stands there is not what was sealed for this session */
  async open(key: string, fields: Loaded['fields']): Promise<Unsealed> {
    const meta = await this.#read(key, META_FIELD, fields);
    if (!isMeta(meta)) throw unreadable('corrupt');
    const data: SessionData = {};
    for (const name of dataNames(fields)) {
      const value = await this.#read(key, dataField(name), fields);
      if (value === undefined) throw unreadable('corrupt');
      define(data, name, value);
    }
    return { meta, data, known: snapshot(data) };
  }

  async #read(key: string, field: string, fields: Loaded['fields']): Promise<unknown> {
    const bytes = fields.get(field);
    if (bytes === undefined) throw unreadable('corrupt');
    const decoded = await this.#codec.decode(bytes, this.#context(key, field));
    if (!decoded.ok) throw unreadable(decoded.reason);
    return decoded.value;
  }

  /** No key and no name of ours has a line break in it; a name of the user's stands last. */
  #context(key: string, field: string): { namespace: string; key: string } {
    return { namespace: this.#namespace, key: `${key}\n${field}` };
  }
}

/** The text of each field: what `save` compares with. */
export function snapshot(data: SessionData): Map<string, string> {
  return new Map(namesOf(data).map((name) => [name, textOf(name, data[name])]));
}

export interface Changes {
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** The text of each field as it is now. */
  readonly now: ReadonlyMap<string, string>;
}

export function changesSince(known: ReadonlyMap<string, string>, data: SessionData): Changes {
  const now = snapshot(data);
  return {
    changed: [...now].filter(([name, text]) => known.get(name) !== text).map(([name]) => name),
    removed: [...known.keys()].filter((name) => !now.has(name)),
    now,
  };
}

/** What is stored now, with what this copy has changed since it was read. */
export function withChanges(
  stored: SessionData,
  copy: SessionData,
  known: ReadonlyMap<string, string>,
): SessionData {
  const { changed, removed } = changesSince(known, copy);
  const merged: SessionData = {};
  for (const name of namesOf(stored)) if (!removed.includes(name)) define(merged, name, stored[name]);
  for (const name of changed) define(merged, name, copy[name]);
  return merged;
}

/** Puts other data into an object that others have in their hands. */
export function refill(data: SessionData, content: SessionData): void {
  for (const name of Object.keys(data)) Reflect.deleteProperty(data, name);
  for (const name of Object.keys(content)) define(data, name, content[name]);
}

/** A field that is undefined is no field. */
function namesOf(data: SessionData): string[] {
  const names = Object.keys(data).filter((name) => data[name] !== undefined);
  if (names.length <= MOST_FIELDS) return names;
  throw new InvalidSessionDataError(`a session has ${names.length} fields, more than ${MOST_FIELDS}`, {
    hint: 'keep what is large elsewhere, and its id here',
  });
}

function textOf(name: string, value: unknown): string {
  try {
    return encodeJson(value);
  } catch (error) {
    throw new InvalidSessionDataError(`the field '${name.slice(0, 50)}' of a session can not be stored`, {
      cause: error,
    });
  }
}

/** By definition, not by assignment: a field named `__proto__` is data. */
function define(data: SessionData, name: string, value: unknown): void {
  Object.defineProperty(data, name, { value, writable: true, enumerable: true, configurable: true });
}

function unreadable(reason: string): InvalidSessionDataError {
  return new InvalidSessionDataError(`a session can not be read: ${reason}`, {
    hint: 'this process may lack the key it was sealed with',
    details: { reason },
  });
}

function isMeta(value: unknown): value is SessionMeta {
  if (typeof value !== 'object' || value === null) return false;
  const user: unknown = Reflect.get(value, 'user');
  return (user === null || typeof user === 'string') && typeof Reflect.get(value, 'createdAt') === 'number';
}
