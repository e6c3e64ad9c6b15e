/**
 * One process of the race hunt. The origin is a version per key; its owner raises it, then invalidates, and
 * notes when that was acknowledged. All processes read at random, and note what they were answered.
 */
import type { RedisAdapter } from '@anbar/nestjs-redis';
import type { CacheService } from '@anbar/nestjs-redis/cache';
import { seededRandom } from '../topology/index.js';
import type { HuntPlan, HuntReport } from './orders.js';
import { microseconds, StallMeter } from './stall-meter.js';

interface Hunter {
  readonly cache: CacheService;
  readonly origin: RedisAdapter;
  readonly plan: HuntPlan;
}

const READERS = 6;
const SLOWEST_LOAD_MS = 12;
const MISS = -1;
/** Each process has one hot key for so long; then the key is left alone, and what went wrong lies there to be seen. */
const HOT_US = 100_000;
const HOT_SHARE = 0.75;
/** So many invalidations are followed by another of the same key at once: races need company. */
const BURSTS = 0.5;

export async function hunt(hunter: Hunter): Promise<HuntReport> {
  const run = new HuntRun(hunter);
  const meter = new StallMeter();
  await Promise.all([run.write(), ...Array.from({ length: READERS }, (_, i) => run.read(i))]);
  return run.report(meter.stop());
}

class HuntRun {
  readonly #hunter: Hunter;
  readonly #until: number;
  readonly #reads: number[] = [];
  readonly #acknowledged: number[] = [];
  #operations = 0;

  constructor(hunter: Hunter) {
    this.#hunter = hunter;
    this.#until = microseconds() + hunter.plan.forMs * 1_000;
  }

  async write(): Promise<void> {
    const { plan, origin } = this.#hunter;
    const random = seededRandom(plan.seed * 31 + plan.index);
    const own = every(plan.keys).filter((key) => key % plan.processes === plan.index);
    let again: number | undefined;
    while (microseconds() < this.#until) {
      const any = own[Math.floor(random() * own.length)] ?? 0;
      const key = again ?? (random() < HOT_SHARE ? hotKey(plan, plan.index) : any);
      again = random() < BURSTS ? key : undefined;
      const version = await origin.incr(this.#originKey(key), 1, { ttl: '1h' });
      await this.#invalidate(key, version, random());
      this.#acknowledged.push(key, microseconds(), version);
      this.#operations += 1;
      if (again === undefined) await pause(random() * plan.pauseMs);
    }
  }

  async read(worker: number): Promise<void> {
    const { plan } = this.#hunter;
    const random = seededRandom(plan.seed * 1_009 + plan.index * 101 + worker);
    while (microseconds() < this.#until) {
      const any = Math.floor(random() * plan.keys);
      const key = random() < HOT_SHARE ? hotKey(plan, any % plan.processes) : any;
      const choice = random();
      const startedAt = microseconds();
      const answers = await this.#ask(key, choice, random);
      for (const [asked, version] of answers) this.#reads.push(asked, startedAt, version ?? MISS);
      this.#operations += 1;
      if (random() < 0.2) await pause(random() * 3);
    }
  }

  report(stalls: readonly number[]): HuntReport {
    const { l1Hits, loads, refusedFills, failures } = this.#hunter.cache.stats();
    return {
      operations: this.#operations,
      reads: this.#reads,
      acknowledged: this.#acknowledged,
      stalls,
      l1Hits,
      loads,
      refusedFills,
      failures,
    };
  }

  #originKey(key: number): string {
    return `hunt:origin:${this.#hunter.cache.name}:${key}`;
  }

  async #ask(
    key: number,
    choice: number,
    random: () => number,
  ): Promise<readonly (readonly [number, number | undefined])[]> {
    const { cache, plan } = this.#hunter;
    const load = async (of: number): Promise<number> => {
      const version = Number((await this.#hunter.origin.get(this.#originKey(of))) ?? 0);
      await pause(random() * SLOWEST_LOAD_MS);
      return version;
    };
    if (choice < 0.06) {
      const answers = await cache.getMany<number>(every(plan.keys).map(cacheKey));
      return answers.map((version, asked) => [asked, version] as const);
    }
    if (choice < 0.5) return [[key, await cache.get<number>(cacheKey(key))]];
    if (choice < 0.9 || isTagged(key)) {
      return [[key, await cache.getOrSet(cacheKey(key), () => load(key), { tags: tagsOf(key) })]];
    }
    const several = [key, (key + 2) % plan.keys].filter((each) => !isTagged(each));
    const answers = await cache.getOrSetMany(several.map(cacheKey), (missing) =>
      Promise.all(missing.map((name) => load(Number(name[1])))),
    );
    return several.map((each, i) => [each, answers[i]] as const);
  }

  async #invalidate(key: number, version: number, choice: number): Promise<unknown> {
    const { cache } = this.#hunter;
    if (choice < 0.005) return cache.flush();
    if (choice < 0.05) return cache.deletePrefix(['book', key]);
    if (choice < 0.5) return cache.set(cacheKey(key), version, { tags: tagsOf(key) });
    if (choice < 0.92 && isTagged(key)) return cache.invalidateTags(`book:${key}`);
    if (choice < 0.95 && isTagged(key)) return cache.invalidateTags(['shelf', 'another']);
    return cache.delete(cacheKey(key));
  }
}

/** The same at any moment for all processes. */
function hotKey({ keys, processes }: HuntPlan, writer: number): number {
  const slot = Math.floor(microseconds() / HOT_US) % Math.floor(keys / processes);
  return slot * processes + writer;
}

function every(keys: number): readonly number[] {
  return Array.from({ length: keys }, (_, key) => key);
}

/** Half of the keys are always stored under their tags, so that a tag alone invalidates them. */
function isTagged(key: number): boolean {
  return key % 2 === 0;
}

function tagsOf(key: number): readonly string[] {
  return isTagged(key) ? [`book:${key}`, 'shelf'] : [];
}

function cacheKey(key: number): readonly [string, number] {
  return ['book', key];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
