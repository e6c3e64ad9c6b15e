/**
 * One process of the sharded hunt. It raises versions in an origin and invalidates, reads at random, counts, and
 * looks after entries that nobody may lose; meanwhile shards come and go.
 */
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { ShardedCache } from '@anbar/nestjs-redis/cache';
import { createClient, resolveConnection } from '@anbar/nestjs-redis/connection';
import type { Duration } from '@anbar/nestjs-redis/core';
import { seededRandom } from '../topology/index.js';
import type { ShardedOrder, ShardedPlan, ShardedReport, ShardedWord } from './sharded-orders.js';

const KEYS = 60;
const KEEPS = 400;
const COUNTERS = 20;
const FIELDS = 50;
const READERS = 4;

const microseconds = (): number => Number(process.hrtime.bigint() / 1_000n);
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

interface Kept {
  readonly key: number;
  readonly version: number;
}

export function openSharded(
  plan: Pick<ShardedPlan, 'urls' | 'namespace' | 'leaseMs'>,
  timeout: Duration = '2s',
): ShardedCache<unknown, string> {
  return new ShardedCache<unknown, string>({
    shards: Object.fromEntries(Object.entries(plan.urls).map(([id, url]) => [id, { options: url }])),
    open: (id, from) => {
      const url = new URL('options' in from ? from.options : from.address);
      const address = { host: url.hostname, port: Number(url.port) };
      const options = {
        ...address,
        timeout,
        connectTimeout: '5s',
        pool: { maxInFlight: 5_000 },
      } as const;
      return { client: createClient(resolveConnection(id, options, [address])), address: url.href };
    },
    namespace: plan.namespace,
    lease: `${plan.leaseMs}ms`,
  });
}

class ShardedHunt {
  readonly #plan: ShardedPlan;
  readonly cache: ShardedCache<unknown, string>;
  readonly #values: ShardedCache<unknown, string>;
  readonly #keep: ShardedCache<unknown, string>;
  readonly #origin: Redis;
  readonly #reads: number[] = [];
  readonly #acknowledged: number[] = [];
  readonly #wrong: string[] = [];
  readonly #lost: string[] = [];
  readonly #counted = new Map<number, Set<number>>();
  /** Everything ends at the next turn. */
  stopped = false;
  #rejected = 0;
  #increments = 0;
  #doubled = 0;

  constructor(plan: ShardedPlan) {
    this.#plan = plan;
    this.cache = openSharded(plan);
    this.#values = this.cache.namespace('values', { jitter: 0, earlyRefresh: false });
    this.#keep = this.cache.namespace('keep', { jitter: 0, earlyRefresh: false, ttl: '1h' });
    this.#origin = createRedis({ url: plan.originUrl, timeout: '5s' }, {});
  }

  async open(): Promise<void> {
    await this.#origin.connect();
    await this.cache.connect({ timeout: '30s' });
  }

  /** Each process has entries of its own to look after. */
  async prepare(): Promise<void> {
    const own = Array.from({ length: KEEPS }, (_, i) => i);
    await this.#keep.setMany(own.map((i) => [this.#keepKey(i), { i, of: this.#plan.index }] as const));
    await this.#keep.hset(
      `hash:${this.#plan.index}`,
      Object.fromEntries(own.slice(0, FIELDS).map((i) => [`f${i}`, i])),
    );
  }

  async run(): Promise<ShardedReport> {
    const before = this.#values.stats();
    const readers = Array.from({ length: READERS }, (_, i) => this.#read(i));
    await Promise.all([...readers, this.#write(), this.#count(), this.#lookAfter()]);
    const after = this.#values.stats();
    return {
      reads: this.#reads,
      acknowledged: this.#acknowledged,
      rejected: this.#rejected,
      wrong: this.#wrong,
      lost: this.#lost,
      keeps: KEEPS,
      increments: this.#increments,
      doubled: this.#doubled,
      hits: after.l2Hits - before.l2Hits,
      misses: after.misses - before.misses,
    };
  }

  async #write(): Promise<void> {
    const random = seededRandom(this.#plan.seed * 31 + this.#plan.index);
    const own = Array.from({ length: KEYS }, (_, i) => i).filter(
      (i) => i % this.#plan.processes === this.#plan.index,
    );
    while (!this.stopped) {
      const key = own[Math.floor(random() * own.length)] ?? 0;
      const version = await this.#origin.adapter.incr(`origin:${key}`, 1, { ttl: '1h' });
      try {
        const done = await this.#invalidate(key, version, random());
        if (done) this.#acknowledged.push(key, microseconds(), version);
      } catch {
        this.#rejected += 1;
      }
      if (random() < 0.5) await pause(random() * 4);
    }
  }

  async #invalidate(key: number, version: number, choice: number): Promise<boolean> {
    const name = cacheKey(key);
    if (choice < 0.01) await this.#values.flush();
    else if (choice < 0.05) await this.#values.deletePrefix(['book', key]);
    else if (choice < 0.3) await this.#values.invalidateTags(`book:${key}`);
    else if (choice < 0.6) await this.#values.set(name, { key, version }, { tags: [`book:${key}`] });
    else await this.#values.delete(name);
    return true;
  }

  async #read(worker: number): Promise<void> {
    const random = seededRandom(this.#plan.seed * 1_009 + this.#plan.index * 101 + worker);
    while (!this.stopped) {
      const key = Math.floor(random() * KEYS);
      const startedAt = microseconds();
      try {
        for (const [asked, value] of await this.#ask(key, random)) this.#note(asked, startedAt, value);
      } catch {
        this.#rejected += 1;
      }
      if (random() < 0.2) await pause(random() * 3);
    }
  }

  async #ask(key: number, random: () => number): Promise<readonly (readonly [number, unknown])[]> {
    const load = async (of: number): Promise<Kept> => {
      const version = Number((await this.#origin.adapter.get(`origin:${of}`)) ?? 0);
      await pause(random() * 8);
      return { key: of, version };
    };
    const choice = random();
    if (choice < 0.1) {
      const some = Array.from({ length: 10 }, (_, i) => (key + i) % KEYS);
      return (await this.#values.getMany(some.map(cacheKey))).map(
        (value, i) => [some[i] ?? 0, value] as const,
      );
    }
    if (choice < 0.4) return [[key, await this.#values.get(cacheKey(key))]];
    if (choice < 0.9) {
      return [[key, await this.#values.getOrSet(cacheKey(key), () => load(key), { tags: [`book:${key}`] })]];
    }
    const some = Array.from({ length: 5 }, (_, i) => (key + i * 7) % KEYS);
    const answers = await this.#values.getOrSetMany(
      some.map(cacheKey),
      (missing) => Promise.all(missing.map((name) => load(Number(name[1])))),
      { tags: some.map((each) => `book:${each}`) },
    );
    return answers.map((value, i) => [some[i] ?? 0, value] as const);
  }

  #note(key: number, startedAt: number, value: unknown): void {
    if (value === undefined) {
      this.#reads.push(key, startedAt, -1);
      return;
    }
    const { key: its, version } = value as Kept;
    if (its !== key) this.#wrong.push(`${its} for ${key}`);
    this.#reads.push(key, startedAt, version);
  }

  async #lookAfter(): Promise<void> {
    const random = seededRandom(this.#plan.seed * 7 + this.#plan.index);
    while (!this.stopped) {
      const i = Math.floor(random() * KEEPS);
      const found = await this.#keep.get<{ i: number; of: number }>(this.#keepKey(i));
      if (found === undefined) this.#lost.push(`keep ${i} (${this.#keep.shardFor(this.#keepKey(i)) ?? '?'})`);
      else if (found.i !== i || found.of !== this.#plan.index) this.#wrong.push(`keep ${i}`);
      const field = Math.floor(random() * FIELDS);
      const value = await this.#keep.hget(`hash:${this.#plan.index}`, `f${field}`);
      if (value !== field) this.#lost.push(`field ${field}: ${String(value)}`);
      await pause(1);
    }
  }

  /** All processes count in the same counters: each number may be given once. */
  async #count(): Promise<void> {
    const random = seededRandom(this.#plan.seed * 13 + this.#plan.index);
    while (!this.stopped) {
      const counter = Math.floor(random() * COUNTERS);
      try {
        const answer = await this.#keep.incr(`count:${counter}`, 1, '1h');
        this.#increments += 1;
        const seen = this.#counted.get(counter) ?? new Set();
        if (seen.has(answer)) this.#doubled += 1;
        this.#counted.set(counter, seen.add(answer));
      } catch (error) {
        if (Reflect.get(Object(error), 'code') !== 'SHARD_UNAVAILABLE') throw error;
        this.#rejected += 1;
      }
      await pause(random() * 4);
    }
  }

  #keepKey(i: number): string {
    return `keep:${this.#plan.index}:${i}`;
  }
}

function cacheKey(key: number): readonly [string, number] {
  return ['book', key];
}

export async function totalOfCounters(cache: ShardedCache<unknown, string>): Promise<number> {
  const keep = cache.namespace('keep');
  const values = await keep.getMany<number>(Array.from({ length: COUNTERS }, (_, i) => `count:${i}`));
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

export function runShardedChild(): void {
  let hunt: ShardedHunt | undefined;
  const say = (word: ShardedWord): void => void (process.connected && process.send?.(word));
  const obey = async (order: ShardedOrder): Promise<void> => {
    if (order.kind === 'open') {
      hunt = new ShardedHunt(order.plan);
      await hunt.open();
      say({ kind: 'ready' });
      return;
    }
    if (hunt === undefined) throw new Error('nothing is open');
    if (order.kind === 'prepare') {
      await hunt.prepare();
      say({ kind: 'ready' });
    } else if (order.kind === 'hunt') {
      say({ kind: 'hunted', report: await hunt.run() });
    } else if (order.kind === 'stop') {
      hunt.stopped = true;
    } else {
      let moved = 0;
      const stop = hunt.cache.onChange((event) => {
        if (event.name === 'move') moved = Math.max(moved, event.moved);
      });
      const change =
        order.act === 'addShard'
          ? hunt.cache.addShard(order.id, order.url === undefined ? undefined : { options: order.url })
          : hunt.cache[order.act](order.id);
      const error = await change.then(
        () => undefined,
        (reason: unknown) => String(reason),
      );
      stop();
      say({ kind: 'changed', moved, ...(error === undefined ? {} : { error }) });
    }
  };
  process.on('message', (order) => void obey(order as ShardedOrder));
  process.on('disconnect', () => process.exit());
  say({ kind: 'ready' });
}
