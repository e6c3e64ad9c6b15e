/**
 * How much memory a cache takes in Redis, by sampling: some names are looked at, a few of them are weighed, and
 * the rest is reckoned. So it costs the same for a thousand entries and for ten million.
 */
import type { RedisClient } from '../connection/index.js';
import { SingleFlight, type Clock } from '../core/index.js';
import type { CacheKeys } from './cache.keys.js';

export interface CacheMemory {
  /** Values of this cache, counters and hashes included. */
  readonly keys: number;
  readonly bytes: number;
  /** Every name was looked at, so `keys` is no estimate. */
  readonly counted: boolean;
  /** How many of them were weighed. */
  readonly weighed: number;
  /** `length` where the server does not tell: what was stored, plus the name and what an entry costs. */
  readonly by: 'server' | 'length';
  /** Wall clock milliseconds. */
  readonly at: number;
}

export interface MemorySamplerParts {
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly clock: Clock;
}

/** Names of any kind that are looked at. */
const MOST_NAMES = 10_000;
const MOST_WEIGHED = 100;
const PER_SCAN = 1_000;
/** Whoever asks again within that time gets the same answer. */
const KEEP_MS = 10_000;
/** Of an entry in Redis beside its data, about. */
const ENTRY_BYTES = 64;

export class MemorySampler {
  readonly #parts: MemorySamplerParts;
  readonly #asking = new SingleFlight<CacheMemory>();
  #last: { readonly memory: CacheMemory; readonly endsAt: number } | undefined;

  constructor(parts: MemorySamplerParts) {
    this.#parts = parts;
  }

  async read(): Promise<CacheMemory> {
    const { clock } = this.#parts;
    if (this.#last !== undefined && clock.now() < this.#last.endsAt) return this.#last.memory;
    return this.#asking.run('memory', async () => {
      const memory = await this.#sample();
      this.#last = { memory, endsAt: clock.now() + KEEP_MS };
      return memory;
    });
  }

  async #sample(): Promise<CacheMemory> {
    const { clock } = this.#parts;
    const { names, looked, counted } = await this.#look();
    const keys = counted ? names.length : Math.round((names.length / looked) * (await this.#allNames()));
    const { sizes, by } = await this.#weigh(spread(names, MOST_WEIGHED));
    const sum = sizes.reduce((total, size) => total + size, 0);
    const bytes = sizes.length === 0 ? 0 : Math.round((sum / sizes.length) * keys);
    return { keys, bytes, counted, weighed: sizes.length, by, at: clock.wallNow() };
  }

  /** Without a filter on the server, or nothing would be known about the share of these names. */
  async #look(): Promise<{ names: string[]; looked: number; counted: boolean }> {
    const { client, keys } = this.#parts;
    const { holds } = keys.valuesUnder();
    const names: string[] = [];
    let looked = 0;
    for await (const batch of client.scan({ count: PER_SCAN })) {
      looked += batch.length;
      names.push(...batch.filter(holds));
      if (looked >= MOST_NAMES) return { names, looked, counted: false };
    }
    return { names, looked, counted: true };
  }

  /** Of all primaries; slots are spread evenly enough over them. */
  async #allNames(): Promise<number> {
    const { client } = this.#parts;
    const primaries = client.status().nodes.filter(({ role }) => role === 'primary').length;
    const nodes = client.topology === 'cluster' ? Math.max(1, primaries) : 1;
    return (await client.command<number>('DBSIZE', [])) * nodes;
  }

  async #weigh(names: readonly string[]): Promise<{ sizes: number[]; by: CacheMemory['by'] }> {
    const { client } = this.#parts;
    const told = await client.pipeline(names.map((name) => ({ name: 'MEMORY', args: ['USAGE', name] })));
    const sizes = numbersOf(told);
    if (sizes.length > 0 || told.every(({ ok }) => ok)) return { sizes, by: 'server' };
    // The embedded store and some services do not know the command, and some users may not ask.
    const lengths = await client.pipeline(names.map((name) => ({ name: 'STRLEN', args: [name] })));
    const by = 'length';
    return {
      sizes: numbersOf(lengths).map((length, i) => length + (names[i] ?? '').length + ENTRY_BYTES),
      by,
    };
  }
}

function numbersOf(results: Awaited<ReturnType<RedisClient['pipeline']>>): number[] {
  return results.flatMap((result) => (result.ok && typeof result.value === 'number' ? [result.value] : []));
}

/** So many of them at most, at even distances. */
function spread(names: readonly string[], most: number): readonly string[] {
  if (names.length <= most) return names;
  return Array.from({ length: most }, (_, i) => names[Math.floor((i * names.length) / most)] ?? '');
}
