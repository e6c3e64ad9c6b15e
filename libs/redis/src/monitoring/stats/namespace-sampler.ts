/**
 * How much memory a namespace takes in Redis, and what of it falls to whom, by one sample: some names are looked at,
 * a few of each kind are weighed, and the rest is reckoned. It costs the same for a thousand keys and for ten million,
 * and the same for one cache and for a hundred.
 */
import type { RedisClient } from '../../connection/index.js';
import { SingleFlight, systemClock, type Clock } from '../../core/index.js';
import type { MemoryShare, NamespaceMemory, SampledMemory } from './stats-report.js';

/** Where a key belongs. */
export interface KeyPlace {
  readonly capability: string;
  readonly cache?: string | undefined;
}

export interface NamespaceSamplerParts {
  readonly client: RedisClient;
  /** Undefined for keys of others. */
  readonly placeOf: (key: string) => KeyPlace | undefined;
  readonly clock?: Clock | undefined;
}

interface Group {
  readonly place: KeyPlace;
  /** A scan may bring one twice. */
  readonly names: Set<string>;
}

interface Weighed {
  readonly sizes: readonly number[];
  readonly by: NamespaceMemory['by'];
}

/** Names of any kind that are looked at. */
const MOST_NAMES = 10_000;
const PER_SCAN = 1_000;
const MOST_WEIGHED = 200;
/** Whoever asks again within that time gets the same answer. */
const KEEP_MS = 10_000;
/** Of an entry in Redis beside its data, about. */
const ENTRY_BYTES = 64;

export class NamespaceSampler {
  readonly #parts: NamespaceSamplerParts;
  readonly #clock: Clock;
  readonly #asking = new SingleFlight<SampledMemory>();
  #last: { readonly memory: SampledMemory; readonly endsAt: number } | undefined;

  constructor(parts: NamespaceSamplerParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
  }

  /** Rejects when Redis does not answer. Whoever does not wait for it leaves it to those who ask next. */
  async read(): Promise<SampledMemory> {
    if (this.#last !== undefined && this.#clock.now() < this.#last.endsAt) return this.#last.memory;
    return this.#asking.run('memory', async () => {
      const memory = await this.#sample();
      this.#last = { memory, endsAt: this.#clock.now() + KEEP_MS };
      return memory;
    });
  }

  async #sample(): Promise<SampledMemory> {
    const { groups, looked, counted } = await this.#look();
    const scale = counted || looked === 0 ? 1 : Math.max(1, (await this.#allNames()) / looked);
    const each = Math.max(1, Math.floor(MOST_WEIGHED / Math.max(1, groups.length)));
    const chosen = groups.map(({ names }) => spread([...names], each));
    const { sizes, by } = await this.#weigh(chosen.flat());
    const capabilities = new Map<string, MemoryShare>();
    const caches = new Map<string, MemoryShare>();
    let at = 0;
    groups.forEach(({ place, names }, i) => {
      const its = sizes.slice(at, (at += chosen[i]?.length ?? 0)).filter((size) => size >= 0);
      const keys = Math.round(names.size * scale);
      const share = { keys, bytes: Math.round(meanOf(its) * keys) };
      addTo(capabilities, place.capability, share);
      if (place.cache !== undefined) addTo(caches, place.cache, share);
    });
    const total = [...capabilities.values()].reduce(sumOf, NOTHING);
    return {
      namespace: {
        ...total,
        capabilities: Object.fromEntries(capabilities),
        counted,
        weighed: sizes.filter((size) => size >= 0).length,
        by,
        at: this.#clock.wallNow(),
      },
      caches: Object.fromEntries(caches),
    };
  }

  /** Without a filter on the server, or nothing would be known about the share of these names. */
  async #look(): Promise<{ groups: readonly Group[]; looked: number; counted: boolean }> {
    const { client, placeOf } = this.#parts;
    const groups = new Map<string, Group>();
    let looked = 0;
    for await (const batch of client.scan({ count: PER_SCAN })) {
      looked += batch.length;
      for (const name of batch) {
        const place = placeOf(name);
        if (place === undefined) continue;
        const id = `${place.capability}\n${place.cache ?? ''}`;
        const group = groups.get(id);
        if (group === undefined) groups.set(id, { place, names: new Set([name]) });
        else group.names.add(name);
      }
      if (looked >= MOST_NAMES) return { groups: [...groups.values()], looked, counted: false };
    }
    return { groups: [...groups.values()], looked, counted: true };
  }

  /** Of all primaries; slots are spread evenly enough over them. */
  async #allNames(): Promise<number> {
    const { client } = this.#parts;
    const primaries = client.status().nodes.filter(({ role }) => role === 'primary').length;
    const nodes = client.topology === 'cluster' ? Math.max(1, primaries) : 1;
    return (await client.command<number>('DBSIZE', [])) * nodes;
  }

  /** A size for each name, in their order; -1 for those that are gone or are not told. */
  async #weigh(names: readonly string[]): Promise<Weighed> {
    const { client } = this.#parts;
    const told = await client.pipeline(names.map((name) => ({ name: 'MEMORY', args: ['USAGE', name] })));
    const sizes = sizesOf(told);
    if (names.length === 0 || told.some(({ ok }) => ok)) return { sizes, by: 'server' };
    // The embedded store and some services do not know the command, and some users may not ask.
    const lengths = sizesOf(await client.pipeline(names.map((name) => ({ name: 'STRLEN', args: [name] }))));
    const rough = lengths.map((length, i) => Math.max(0, length) + (names[i] ?? '').length + ENTRY_BYTES);
    return { sizes: rough, by: 'length' };
  }
}

const NOTHING: MemoryShare = { keys: 0, bytes: 0 };

function sumOf(a: MemoryShare, b: MemoryShare): MemoryShare {
  return { keys: a.keys + b.keys, bytes: a.bytes + b.bytes };
}

function addTo(shares: Map<string, MemoryShare>, name: string, share: MemoryShare): void {
  shares.set(name, sumOf(shares.get(name) ?? NOTHING, share));
}

function sizesOf(results: Awaited<ReturnType<RedisClient['pipeline']>>): number[] {
  return results.map((result) => (result.ok && typeof result.value === 'number' ? result.value : -1));
}

function meanOf(sizes: readonly number[]): number {
  return sizes.length === 0 ? 0 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
}

/** So many of them at most, at even distances. */
function spread(names: readonly string[], most: number): readonly string[] {
  if (names.length <= most) return names;
  return Array.from({ length: most }, (_, i) => names[Math.floor((i * names.length) / most)] ?? '');
}
