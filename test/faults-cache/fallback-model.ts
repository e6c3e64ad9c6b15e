/**
 * Random changes and reads through one cache with a fallback, while its Redis comes and goes, against what they may
 * answer: nothing that an acknowledged invalidation of this process has made old, and every increment once.
 */
import type { FallbackCache } from '@anbar/nestjs-redis/cache';

export interface ModelPlan {
  readonly random: () => number;
  readonly workers: number;
  readonly keys: number;
}

export interface StaleRead {
  readonly what: string;
  readonly key: string;
  readonly got: number;
  /** What had been made the least that counts, before the read began. */
  readonly floor: number;
  readonly mode: string;
}

const TAGS = 3;
const NAMES = ['default', 'second'] as const;

/** One row of the origin, with the version below which no answer counts any more. */
class Row {
  version = 0;
  floor = 0;
  /** Who writes the row holds it, so that the order of writes is known. */
  #turn: Promise<unknown> = Promise.resolve();

  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Settles when the row is held, which it is until `done`. */
  entered(done: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      void this.alone(() => {
        resolve();
        return done;
      });
    });
  }

  /** Everything older than now does not count once this is acknowledged. */
  raise(version: number): void {
    this.floor = Math.max(this.floor, version);
  }
}

export class FallbackModel {
  readonly stale: StaleRead[] = [];
  readonly errors: unknown[] = [];
  operations = 0;
  hits = 0;
  counted = 0;
  readonly #caches: readonly FallbackCache[];
  readonly #counts: FallbackCache;
  readonly #hashes: FallbackCache;
  readonly #root: FallbackCache;
  readonly #plan: ModelPlan;
  readonly #rows: ReadonlyMap<string, Row>;
  readonly #fields = Array.from({ length: 6 }, () => new Row());
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(cache: FallbackCache, plan: ModelPlan) {
    this.#root = cache;
    this.#plan = plan;
    this.#caches = NAMES.map((name) => (name === 'default' ? cache : cache.namespace(name)));
    this.#counts = cache.namespace('counts');
    this.#hashes = cache.namespace('hashes');
    const names = NAMES.flatMap((_, c) => Array.from({ length: plan.keys }, (__, k) => rowName(c, k)));
    this.#rows = new Map(names.map((name) => [name, new Row()]));
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: this.#plan.workers }, () => this.#work()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Reads everything once more. */
  async readAll(): Promise<void> {
    for (const [c, cache] of this.#caches.entries()) {
      for (let k = 0; k < this.#plan.keys; k += 1) await this.#get(cache, c, k);
    }
    for (let f = 0; f < this.#fields.length; f += 1) await this.#hashGet(f);
  }

  countsInRedis(other: { get(key: string): Promise<unknown> }): Promise<unknown> {
    return other.get('n');
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#step();
      } catch (error) {
        this.errors.push(error);
      }
      this.operations += 1;
      await pause(this.#pick(3));
    }
  }

  async #step(): Promise<void> {
    const c = this.#pick(NAMES.length);
    const k = this.#pick(this.#plan.keys);
    const cache = this.#caches[c] ?? this.#root;
    const dice = this.#pick(100);
    if (dice < 34) await this.#get(cache, c, k);
    else if (dice < 56) await this.#load(cache, c, k);
    else if (dice < 64) await this.#set(cache, c, k);
    else if (dice < 74) await this.#delete(cache, c, k);
    else if (dice < 79) await this.#invalidateTag(k % TAGS);
    else if (dice < 82) await this.#deletePrefix(cache, c, k % 2);
    else if (dice < 83) await this.#flush(cache, c);
    else if (dice < 86) await this.#expire(cache, c, k);
    else if (dice < 91) await this.#count();
    else if (dice < 95) await this.#hashSet(this.#pick(this.#fields.length));
    else await this.#hashGet(this.#pick(this.#fields.length));
  }

  async #get(cache: FallbackCache, c: number, k: number): Promise<void> {
    const row = this.#row(c, k);
    const { floor } = row;
    this.#judge('get', rowName(c, k), floor, await cache.get<number>(keyOf(k)));
  }

  async #load(cache: FallbackCache, c: number, k: number): Promise<void> {
    const row = this.#row(c, k);
    const { floor } = row;
    const load = async (): Promise<number> => {
      const seen = row.version;
      await pause(this.#pick(12));
      return seen;
    };
    const value = await cache.getOrSet(keyOf(k), load, { tags: [tagOf(k % TAGS)], staleOnError: '0s' });
    this.#judge('getOrSet', rowName(c, k), floor, value);
  }

  #set(cache: FallbackCache, c: number, k: number): Promise<void> {
    const row = this.#row(c, k);
    return row.alone(async () => {
      const version = ++row.version;
      await cache.set(keyOf(k), version, { ttl: '1m', tags: [tagOf(k % TAGS)] });
      row.raise(version);
    });
  }

  #delete(cache: FallbackCache, c: number, k: number): Promise<void> {
    const row = this.#row(c, k);
    return row.alone(async () => {
      const version = ++row.version;
      await cache.delete(keyOf(k));
      row.raise(version);
    });
  }

  /** Shortening an expiry to nothing is an invalidation, too. */
  #expire(cache: FallbackCache, c: number, k: number): Promise<void> {
    const row = this.#row(c, k);
    return row.alone(async () => {
      const version = ++row.version;
      await cache.expire(keyOf(k), '1ms');
      // It may have found nothing to expire while a load was under way, which it does not fence.
      await cache.delete(keyOf(k));
      row.raise(version);
    });
  }

  async #invalidateTag(t: number): Promise<void> {
    await this.#invalidate(
      NAMES.flatMap((_, c) => this.#rowsOf(c, (k) => k % TAGS === t)),
      () => this.#root.invalidateTags(tagOf(t)),
    );
  }

  async #deletePrefix(cache: FallbackCache, c: number, half: number): Promise<void> {
    await this.#invalidate(
      this.#rowsOf(c, (k) => k % 2 === half),
      () => cache.deletePrefix([`half${half}`]),
    );
  }

  async #flush(cache: FallbackCache, c: number): Promise<void> {
    await this.#invalidate(
      this.#rowsOf(c, () => true),
      () => cache.flush(),
    );
  }

  /** No write of these rows is under way meanwhile: it might rightly come after it, and bring an older version. */
  async #invalidate(rows: readonly Row[], how: () => Promise<unknown>): Promise<void> {
    let leave: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (leave = resolve));
    await Promise.all(rows.map((row) => row.entered(done)));
    try {
      const versions = rows.map((row) => (row.version += 1));
      await how();
      rows.forEach((row, i) => row.raise(versions[i] ?? 0));
    } finally {
      leave();
    }
  }

  async #count(): Promise<void> {
    await this.#counts.incr('n');
    this.counted += 1;
  }

  #hashSet(f: number): Promise<void> {
    const row = this.#fields[f] ?? new Row();
    return row.alone(async () => {
      const version = ++row.version;
      await this.#hashes.hset('h', `f${f}`, version);
      row.raise(version);
    });
  }

  async #hashGet(f: number): Promise<void> {
    const floor = this.#fields[f]?.floor ?? 0;
    this.#judge('hget', `f${f}`, floor, await this.#hashes.hget<number>('h', `f${f}`));
  }

  #judge(what: string, key: string, floor: number, got: number | undefined): void {
    if (got === undefined) return;
    this.hits += 1;
    if (got < floor) this.stale.push({ what, key, got, floor, mode: this.#root.state.mode });
  }

  #rowsOf(c: number, matches: (k: number) => boolean): readonly Row[] {
    return Array.from({ length: this.#plan.keys }, (_, k) => k)
      .filter(matches)
      .map((k) => this.#row(c, k));
  }

  #row(c: number, k: number): Row {
    return this.#rows.get(rowName(c, k)) ?? new Row();
  }

  #pick(below: number): number {
    return Math.floor(this.#plan.random() * below);
  }
}

const rowName = (c: number, k: number): string => `${NAMES[c] ?? ''}/${k}`;
const keyOf = (k: number): readonly [string, number] => [`half${k % 2}`, k];
const tagOf = (t: number): string => `tag${t}`;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
