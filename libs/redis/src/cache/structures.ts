/**
 * Counters and hashes under the keys of the cache: Redis' own types, changed in one step and read as they are.
 * They have no tags; `delete`, `deletePrefix` and `flush` remove them like values.
 */
import type { Codec } from '../codec/index.js';
import { incrementScript, type RedisClient } from '../connection/index.js';
import type { CacheKeys } from './cache.keys.js';
import { hashPutScript } from './cache.scripts.js';

export interface StructuresParts {
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly codec: Codec;
}

interface Call {
  readonly signal?: AbortSignal | undefined;
}

export class Structures {
  readonly #parts: StructuresParts;

  constructor(parts: StructuresParts) {
    this.#parts = parts;
  }

  async increment(
    key: string,
    { amount, ttlMs }: { amount: number; ttlMs: number | undefined },
    call?: Call,
  ): Promise<number> {
    const { client } = this.#parts;
    if (ttlMs === undefined) return client.command<number>('INCRBY', [key, amount], call);
    return client.run(incrementScript, [key], { amount, ttlMs }, call);
  }

  /** @returns how many fields are new */
  async hashSet(
    key: string,
    { fields, ttlMs }: { fields: readonly (readonly [string, unknown])[]; ttlMs: number | undefined },
    call?: Call,
  ): Promise<number> {
    const { client, codec } = this.#parts;
    const encoded = await Promise.all(
      fields.map(async ([field, value]) => [field, await codec.encode(value, this.#context(key, field))]),
    );
    return client.run(hashPutScript, [key], { fields: encoded.flat(), ttlMs: ttlMs ?? 0 }, call);
  }

  async hashGet(key: string, field: string, call?: Call): Promise<unknown> {
    const { client, codec } = this.#parts;
    const bytes = await client.command<Buffer | null>('HGET', [key, field], { ...call, reply: 'bytes' });
    if (bytes === null) return undefined;
    const decoded = await codec.decode(bytes, this.#context(key, field));
    return decoded.ok ? decoded.value : undefined;
  }

  /** @returns whether there was something to expire */
  async expire(key: string, ttlMs: number | undefined, call?: Call): Promise<boolean> {
    const { client } = this.#parts;
    if (ttlMs !== undefined) return (await client.command<number>('PEXPIRE', [key, ttlMs], call)) === 1;
    await client.command('PERSIST', [key], call);
    return (await client.command<number>('EXISTS', [key], call)) === 1;
  }

  /** Milliseconds left; `'never'` without an expiry, undefined without a key. */
  async left(key: string, call?: Call): Promise<number | 'never' | undefined> {
    const left = await this.#parts.client.command<number>('PTTL', [key], call);
    if (left === -2) return undefined;
    return left === -1 ? 'never' : left;
  }

  async isHash(key: string, call?: Call): Promise<boolean> {
    return (await this.#parts.client.command<string>('TYPE', [key], call)) === 'hash';
  }

  /** A field is bound to its place: moved to another one, it is a miss. No key has a line break in it. */
  #context(key: string, field: string): { namespace: string; key: string } {
    return { namespace: this.#parts.keys.namespace, key: `${key}\n${field}` };
  }
}
