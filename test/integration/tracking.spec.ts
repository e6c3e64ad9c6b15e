/**
 * The near cache against real servers: whatever changes a key, by whomever, reaches the copies in this process,
 * and while that can not be promised there are no copies. docs/near-cache.md has the promises in words.
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { createRedis, type RedisAdapter, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  CacheService,
  NearCache,
  NO_CLOCK,
  RedisTagClocks,
  resolveL1,
  SeenClock,
  type CacheEntry,
  type Found,
  type ResolvedL1,
  type Store,
  type TagClocks,
} from '@anbar/nestjs-redis/cache';
import { keySlot, type RedisClient, type TrackingState } from '@anbar/nestjs-redis/connection';
import {
  admin,
  startCluster,
  startFaultProxy,
  startSentinel,
  startStandalone,
  until,
  type Standalone,
} from '../topology/index.js';

const PREFIX = 'near:v1:cache:';
const TAGS = 'near:v1:tag:';

interface Near {
  readonly adapter: RedisAdapter;
  readonly client: RedisClient;
  readonly l1: NearCache;
  readonly store: Store;
  readonly clocks: TagClocks;
  readonly states: readonly string[];
}

/** Values are version numbers, written by hand with SET. */
function versionStore(client: RedisClient): Store {
  const get = async (key: string): Promise<Found | undefined> => {
    const text = await client.command<string | null>('GET', [key]);
    if (text === null) return undefined;
    return { entry: entryOf(Number(text)), tier: 'l2', bytes: text.length };
  };
  const unused = (): never => {
    throw new Error('not part of this test');
  };
  return {
    get,
    set: async (key, entry) => void (await client.command('SET', [key, String(entry.value)])),
    remove: (keys) => client.command<number>('DEL', keys),
    update: unused,
    acquire: unused,
    renew: unused,
    fill: unused,
    release: unused,
  };
}

function entryOf(value: number): CacheEntry {
  const times = { createdAt: Date.now(), softExpiresAt: undefined, expiresAt: undefined };
  return { value, ...times, clock: 0, loadMs: 0, negative: false, tags: [] };
}

function defaultL1(): ResolvedL1 {
  const l1 = resolveL1();
  if (l1 === false) throw new Error('it is on by default');
  return l1;
}

/** Whom to tell what is to be done after a test; one that runs beside others has to name itself. */
type Ends = Pick<TestContext, 'onTestFinished'>;

function open(options: RedisModuleOptions, test: Ends = { onTestFinished }): Near {
  const redis = createRedis({ connectTimeout: '10s', ...options }, {});
  test.onTestFinished(() => redis.disconnect());
  const client = redis.adapter.port;
  const states: string[] = [];
  const spied: RedisClient = Object.create(client, {
    track: {
      value: ((given) =>
        client.track({
          ...given,
          onState: (state, reason) => {
            states.push(`${state}: ${reason}`);
            given.onState(state, reason);
          },
        })) satisfies RedisClient['track'],
    },
  }) as RedisClient;
  const l1 = new NearCache({ client: spied, l1: defaultL1() });
  const tiers = l1.tiers({
    keys: { tracked: { values: PREFIX, clocks: TAGS } },
    store: versionStore(client),
    clocks: new RedisTagClocks(client, new SeenClock()),
  });
  l1.start();
  return { adapter: redis.adapter, client, l1, ...tiers, states };
}

async function openTracking(options: RedisModuleOptions, test?: Ends): Promise<Near> {
  const near = open(options, test);
  await tracked(near);
  return near;
}

const isTracking = ({ l1 }: Near): boolean => l1.stats().state === 'tracking';

async function tracked(near: Near, timeout = 10_000): Promise<void> {
  await until(() => isTracking(near), { what: 'tracking', timeout, every: 1 });
}

async function readNumber(near: Near, key: string): Promise<unknown> {
  return (await near.store.get(key))?.entry.value;
}

async function tierOf(near: Near, key: string): Promise<string | undefined> {
  return (await near.store.get(key))?.tier;
}

/** Reads until the copy is in memory. */
async function warm(near: Near, key: string): Promise<void> {
  await until(async () => (await tierOf(near, key)) === 'l1', { what: `${key} in L1`, every: 1 });
}

async function goneFromL1(near: Near, key: string): Promise<void> {
  await until(async () => (await tierOf(near, key)) !== 'l1', { what: `${key} to leave L1`, every: 1 });
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? NaN;

function recordStates(client: RedisClient): { state: TrackingState; reason: string }[] {
  const seen: { state: TrackingState; reason: string }[] = [];
  const tracking = client.track({
    prefixes: [PREFIX],
    onInvalidate: () => undefined,
    onState: (state, reason) => void seen.push({ state, reason }),
  });
  onTestFinished(() => tracking.close());
  return seen;
}

/**
 * Counts versions up in the server by another way than the cache's, reads through the cache all the while, and
 * notes for how long after its acknowledgement a version was still answered with an older one.
 */
class Watch {
  readonly ages: number[] = [];
  reads = 0;
  l1Hits = 0;
  readonly #acknowledged = new Map<string, { version: number; at: number }[]>();
  readonly #near: Near;
  readonly #write: (key: string, version: number) => Promise<unknown>;
  #running = true;
  readonly #loops: Promise<void>[] = [];

  constructor(
    near: Near,
    keys: readonly string[],
    write: (key: string, version: number) => Promise<unknown>,
  ) {
    this.#near = near;
    this.#write = write;
    for (const key of keys) this.#acknowledged.set(key, []);
    this.#loops.push(this.#writeOn(keys), ...keys.map((key) => this.#readOn(key)));
  }

  get worst(): number {
    return Math.max(0, ...this.ages);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  /** No key is older in the cache than its last acknowledged write; one without an answer may have come later. */
  async expectNothingStale(): Promise<void> {
    for (const [key, versions] of this.#acknowledged) {
      const seen = Number((await readNumber(this.#near, key)) ?? 0);
      expect(seen, key).toBeGreaterThanOrEqual(versions.at(-1)?.version ?? 0);
    }
  }

  async #read(key: string): Promise<Found | undefined> {
    return this.#near.store.get(key);
  }

  async #writeOn(keys: readonly string[]): Promise<void> {
    for (let version = 1; this.#running; version += 1) {
      const key = keys[version % keys.length] ?? '';
      const done = await this.#write(key, version).then(
        () => true,
        () => false,
      );
      if (done) this.#acknowledged.get(key)?.push({ version, at: performance.now() });
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  async #readOn(key: string): Promise<void> {
    while (this.#running) {
      const begunAt = performance.now();
      const found = await this.#read(key).catch(() => undefined);
      this.reads += 1;
      if (found?.tier === 'l1') this.l1Hits += 1;
      const seen = Number(found?.entry.value ?? Infinity);
      const newer = this.#acknowledged.get(key)?.find(({ version }) => version > seen);
      if (newer !== undefined && newer.at < begunAt) this.ages.push(begunAt - newer.at);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

describe('one server', () => {
  let server: Standalone;
  beforeAll(async () => {
    server = await startStandalone({ maxmemory: '8mb', policy: 'allkeys-lru' });
  });
  afterAll(() => server.stop());

  it.each([
    ['with commas', 'a,b,,c,'],
    ['with braces', '{user:1}{x}'],
    ['beyond ASCII', 'naïve-ключ-鍵-🗝'],
    ['with control characters', 'line\r\nbreak\u0000and\ttab'],
    ['that is empty', ''],
  ])('tells of a key %s by its very name', async (_name, rest) => {
    const near = await openTracking({ url: server.url });
    const key = PREFIX + rest;
    await admin(server.port, 'SET', key, 1);
    await warm(near, key);
    await admin(server.port, 'SET', key, 2);
    await until(async () => (await readNumber(near, key)) === 2, { what: 'the new value' });
  });

  it('tells several keys of one command apart, commas or not', async () => {
    const near = await openTracking({ url: server.url });
    const keys = ['m,1', 'm,2', 'm'].map((name) => PREFIX + name);
    await admin(server.port, 'MSET', ...keys.flatMap((key) => [key, 1]));
    for (const key of keys) await warm(near, key);
    await admin(server.port, 'DEL', ...keys);
    for (const key of keys) await goneFromL1(near, key);
  });

  it('hears of expiry, deletion, FLUSHALL and eviction', async () => {
    const near = await openTracking({ url: server.url });
    const key = `${PREFIX}ends`;
    await admin(server.port, 'SET', key, 1, 'PX', 150);
    await warm(near, key);
    await goneFromL1(near, key);

    await admin(server.port, 'SET', key, 1);
    await warm(near, key);
    await admin(server.port, 'FLUSHALL');
    await goneFromL1(near, key);

    await admin(server.port, 'SET', key, 1);
    await warm(near, key);
    const filler = 'x'.repeat(100_000);
    // Redis evicts what it takes for the oldest of a few at random.
    for (let i = 0; (await admin(server.port, 'EXISTS', key)) === 1; i += 1) {
      await admin(server.port, 'SET', `filler:${i}`, filler);
    }
    await goneFromL1(near, key);
    await admin(server.port, 'FLUSHALL');
  });

  it('says nothing of keys elsewhere, and hits ask nobody', async () => {
    const near = await openTracking({ url: server.url });
    const key = `${PREFIX}still`;
    await admin(server.port, 'SET', key, 1);
    await warm(near, key);
    await admin(server.port, 'SET', 'elsewhere', 1);
    for (let i = 0; i < 1_000; i += 1) expect(near.store.get(key)).not.toBeInstanceOf(Promise);
    expect(near.l1.stats()).toMatchObject({ state: 'tracking', interruptions: 0, invalidations: 0 });
  });

  it('announces a key once for two writes of one turn, which is why echoes of own writes are not counted', async () => {
    const near = await openTracking({ url: server.url });
    const heard: string[] = [];
    const tracking = near.client.track({
      prefixes: [PREFIX],
      onInvalidate: (keys) => void heard.push(...(keys === 'all' ? ['all'] : keys)),
      onState: () => undefined,
    });
    onTestFinished(() => tracking.close());
    await until(() => tracking.state === 'tracking', { what: 'tracking' });
    const key = `${PREFIX}twice`;
    await admin(server.port, 'EVAL', "redis.call('SET', KEYS[1], 1) redis.call('SET', KEYS[1], 2)", 1, key);
    await admin(server.port, 'SET', `${PREFIX}after`, 1);
    await until(() => heard.includes(`${PREFIX}after`), { what: 'the message after' });
    expect(heard).toEqual([key, `${PREFIX}after`]);
  });

  it('a change by hand reaches four followers: p99 below 100 ms', async () => {
    const followers = await Promise.all(Array.from({ length: 4 }, () => openTracking({ url: server.url })));
    const key = `${PREFIX}lag`;
    await admin(server.port, 'SET', key, 0);
    const lags: number[] = [];
    for (let version = 1; version <= 300; version += 1) {
      for (const near of followers) await warm(near, key);
      await admin(server.port, 'SET', key, version);
      const at = performance.now();
      await Promise.all(
        followers.map(async (near) => {
          for (;;) {
            const found = near.store.get(key);
            if (found instanceof Promise || found?.entry.value === version) break;
            await new Promise((resolve) => setImmediate(resolve));
          }
          lags.push(performance.now() - at);
        }),
      );
    }
    const [p50, p99, worst] = [percentile(lags, 0.5), percentile(lags, 0.99), percentile(lags, 1)];
    console.log(
      `redis-cli to L1, 4 followers, ${lags.length} times, from the acknowledgement on: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`,
    );
    expect(p99).toBeLessThan(100);
  });

  it('own writes are read back at once', async () => {
    const near = await openTracking({ url: server.url });
    const key = `${PREFIX}own`;
    for (let version = 1; version <= 200; version += 1) {
      await near.store.set(key, entryOf(version));
      expect(await readNumber(near, key)).toBe(version);
      if (version % 3 === 0) await near.store.get(key);
    }
    await near.store.remove([key]);
    expect(await near.store.get(key)).toBeUndefined();
  });

  it('holds tag clocks until they move', async () => {
    const near = await openTracking({ url: server.url });
    const { clocks } = near;
    const keys = [`${TAGS}{a,b}`, `${TAGS}{new}`];
    await admin(server.port, 'SET', keys[0] ?? '', 7);
    expect(await clocks.read(keys)).toEqual([7, NO_CLOCK]);
    const atHand = async (): Promise<boolean> => {
      const read = clocks.read(keys);
      await read;
      return !(read instanceof Promise);
    };
    await until(atHand, { what: 'the clocks at hand', every: 1 });
    expect(clocks.read(keys)).toEqual([7, NO_CLOCK]);
    await admin(server.port, 'SET', keys[1] ?? '', 9);
    await until(async () => (await clocks.read(keys))[1] === 9, { what: 'the new clock' });
  });
});

describe('a cache with L1', () => {
  it('hits, tagged or not, ask nobody; another process is heard of by value, tag and flush', async () => {
    const server = await startStandalone();
    const proxy = await startFaultProxy({ to: { port: server.port } });
    onTestFinished(async () => {
      await proxy.stop();
      await server.stop();
    });
    const [here, there] = [open({ host: proxy.host, port: proxy.port }), open({ url: server.url })];
    const l1 = new NearCache({ client: here.client, l1: defaultL1() });
    const books = new CacheService({ client: here.client, namespace: 'shop', tiers: l1.tiers }).namespace(
      'books',
    );
    const remote = new CacheService({ client: there.client, namespace: 'shop' }).namespace('books');
    l1.start();
    await until(() => l1.stats().state === 'tracking', { what: 'tracking' });

    let loads = 0;
    const load = () => books.getOrSet('k', () => ({ loads: (loads += 1) }), { tags: ['a', 'b'] });
    const settled = async (n: number): Promise<void> => {
      await until(async () => JSON.stringify(await load()) === `{"loads":${n}}`, { what: `load ${n}` });
      for (let i = 0; i < 3; i += 1) await load();
      // The announcements of what was just written are through when nothing goes any more.
      await until(() => l1.stats().entries === 1, { what: 'the entry in L1', every: 1 });
    };
    await settled(1);
    const before = proxy.count('GET') + proxy.count('MGET') + proxy.count('EVALSHA');
    for (let i = 0; i < 1_000; i += 1) expect(await load()).toEqual({ loads: 1 });
    expect(proxy.count('GET') + proxy.count('MGET') + proxy.count('EVALSHA')).toBe(before);

    await remote.invalidateTags(['b']);
    await settled(2);
    await remote.delete('k');
    await settled(3);
    await remote.set('k', { loads: 4 }, { tags: ['a'] });
    await settled(4);
    await remote.flush();
    await settled(4);
    await books.delete('k');
    expect(await books.get('k')).toBeUndefined();
    await books.disconnect();
    await l1.close();
  });
});

describe('trouble with one server', () => {
  it('CLIENT KILL while keys change: nothing stale after it, and at most a second while it lasts', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const near = await openTracking({ url: server.url });
    const keys = Array.from({ length: 8 }, (_, i) => `${PREFIX}k${i}`);
    const watch = new Watch(near, keys, (key, version) => admin(server.port, 'SET', key, version));
    for (let i = 0; i < 5; i += 1) {
      await until(() => watch.l1Hits > i * 400, { what: 'hits' });
      const before = near.states.length;
      await admin(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until(() => near.states.length > before, { what: 'the loss to be seen', every: 1 });
      await tracked(near);
    }
    await watch.stop();
    await watch.expectNothingStale();
    console.log(
      `CLIENT KILL x 5: ${watch.reads} reads, ${watch.l1Hits} from L1, stale ${watch.ages.length}, worst ${watch.worst.toFixed(1)} ms`,
    );
    expect(watch.worst).toBeLessThan(1_000);
    expect(near.states.filter((state) => state.startsWith('lost'))).toHaveLength(5);
  });

  it('a link that goes silent is noticed within its heartbeat, and nothing is stale after it', async () => {
    const server = await startStandalone();
    const proxy = await startFaultProxy({ to: { port: server.port } });
    onTestFinished(async () => {
      await proxy.stop();
      await server.stop();
    });
    const near = await openTracking({ host: proxy.host, port: proxy.port });
    const keys = Array.from({ length: 4 }, (_, i) => `${PREFIX}k${i}`);
    const watch = new Watch(near, keys, (key, version) => admin(server.port, 'SET', key, version));
    await until(() => watch.l1Hits > 20, { what: 'hits' });
    const cutAt = performance.now();
    proxy.blackhole('both');
    await until(() => !isTracking(near), { what: 'the silence to be noticed', every: 1 });
    const noticedMs = performance.now() - cutAt;
    const hits = watch.l1Hits;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(watch.l1Hits).toBe(hits);
    await proxy.pass();
    await tracked(near);
    await until(() => watch.l1Hits > hits, { what: 'hits again' });
    await watch.stop();
    await watch.expectNothingStale();
    console.log(
      `blackhole: noticed after ${noticedMs.toFixed(0)} ms, stale while cut ${watch.ages.length}, worst ${watch.worst.toFixed(0)} ms`,
    );
    expect(noticedMs).toBeLessThan(900);
    expect(watch.worst).toBeLessThan(1_000);
  });

  it('a frozen and a restarted server', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const near = await openTracking({ url: server.url });
    const key = `${PREFIX}k`;
    await server.process.admin('SET', key, 1);
    await warm(near, key);
    await server.process.freeze();
    await until(() => !isTracking(near), { what: 'the silence to be noticed', every: 1 });
    expect(near.l1.stats()).toMatchObject({ entries: 0, state: 'lost', interruptions: 1 });
    await server.process.thaw();
    await tracked(near);

    await warm(near, key);
    await server.process.restart('empty');
    await server.process.admin('SET', key, 2);
    await tracked(near);
    await until(async () => (await readNumber(near, key)) === 2, { what: 'the value after the restart' });
    await warm(near, key);
    expect(await readNumber(near, key)).toBe(2);
  });

  it('does not trust that the server behind a name is the same after its data connection was lost', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const near = await openTracking({ url: server.url });
    const key = `${PREFIX}k`;
    await server.process.admin('SET', key, 1);
    await warm(near, key);
    const list = String(await server.process.admin('CLIENT', 'LIST')).split('\n');
    const id = /^id=(\d+)/u.exec(list.find((line) => line.includes('name=anbar:default ')) ?? '')?.[1] ?? '';
    await server.process.admin('CLIENT', 'KILL', 'ID', id);
    await until(() => near.states.some((state) => state.includes('made anew')), { what: 'the distrust' });
    await tracked(near);
    await warm(near, key);
    expect(near.l1.stats()).toMatchObject({ interruptions: 1 });
  });

  it('begins by itself when the server comes later than the application', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    await server.process.kill();
    const near = open({ url: server.url });
    expect(near.l1.stats()).toMatchObject({ state: 'lost' });
    await server.process.restart('empty');
    await tracked(near);
  });

  it('a user who may not track is told why, once, and reads go on without L1', async () => {
    const rules = `~${PREFIX}* &* +@all -client|tracking`;
    const server = await startStandalone({ acl: { user: 'app', password: 'secret', rules } });
    onTestFinished(() => server.stop());
    const near = open({ url: server.url });
    await near.adapter.port.connect();
    const seen = recordStates(near.client);
    await until(() => seen.length > 0, { what: 'a state' });
    await near.store.set(`${PREFIX}k`, entryOf(1));
    for (let i = 0; i < 50; i += 1) expect(await tierOf(near, `${PREFIX}k`)).toBe('l2');
    expect(seen).toEqual([{ state: 'refused', reason: expect.stringContaining('NOPERM') as string }]);
    expect(near.l1.stats().state).toBe('refused');
  });

  it('needs no more rights than the documentation says', async () => {
    const rights = '-@all +ping +echo +role +get +set +subscribe +client|id +client|tracking';
    const rules = `resetchannels ~${PREFIX}* &__redis__:invalidate ${rights}`;
    const server = await startStandalone({ acl: { user: 'app', password: 'secret', rules } });
    onTestFinished(() => server.stop());
    const near = await openTracking({ url: server.url });
    await near.store.set(`${PREFIX}k`, entryOf(1));
    await warm(near, `${PREFIX}k`);
    await near.store.set(`${PREFIX}k`, entryOf(2));
    expect(await readNumber(near, `${PREFIX}k`)).toBe(2);
  });

  it('is refused where replicas answer, because they answer with a past', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const near = open({ url: server.url, readFrom: 'preferReplica' });
    await until(() => near.l1.stats().state === 'refused', { what: 'the refusal' });
  });

  it('ends with its client, and does not begin with one that has ended', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const near = await openTracking({ url: server.url });
    await near.adapter.port.disconnect();
    expect(near.l1.stats()).toMatchObject({ state: 'lost', reason: 'the client was closed' });
    const list = String(await server.process.admin('CLIENT', 'LIST'));
    expect(list).not.toContain('tracking');
    const late = near.client.track({
      prefixes: ['a:'],
      onInvalidate: () => undefined,
      onState: () => undefined,
    });
    expect(late).toMatchObject({ state: 'lost', reason: 'the client was closed' });
  });
});

// Servers take their time to agree: these and those of a cluster do so at the same time.
describe.concurrent('sentinel', () => {
  it('follows the primary through a failover', { timeout: 60_000 }, async (test) => {
    const set = await startSentinel();
    test.onTestFinished(() => set.stop());
    const near = await openTracking({ sentinel: { name: set.name, nodes: set.sentinels } }, test);
    let primary = await set.primary();
    const keys = Array.from({ length: 4 }, (_, i) => `${PREFIX}k${i}`);
    const watch = new Watch(near, keys, (key, version) => primary.admin('SET', key, version));
    await until(() => watch.l1Hits > 20, { what: 'hits' });
    // Writes to the old primary that it loses are not what is watched here.
    await watch.stop();
    const old = primary;
    primary = await set.failover();
    expect(primary.port).not.toBe(old.port);
    await until(() => near.states.some((state) => state.startsWith('lost')), { what: 'the loss' });
    await tracked(near);
    await until(async () => (await near.client.command('ROLE', [])) !== null, { what: 'a primary' });
    const after = new Watch(near, keys, (key, version) => primary.admin('SET', key, 1_000_000 + version));
    await until(() => after.l1Hits > 20, { what: 'hits again', timeout: 20_000 });
    await after.stop();
    for (const key of keys)
      await until(async () => Number(await readNumber(near, key)) > 1_000_000, { what: key });
    expect(after.worst).toBeLessThan(1_000);

    const before = near.states.length;
    await primary.kill();
    primary = await set.settled(primary);
    await until(() => near.states.length > before, { what: 'the loss' });
    await tracked(near, 20_000);
    const key = keys[0] ?? '';
    await primary.admin('SET', key, 7);
    await until(async () => (await readNumber(near, key)) === 7, { what: 'the value of the third primary' });
    await warm(near, key);
    await primary.admin('SET', key, 8);
    await until(async () => (await readNumber(near, key)) === 8, { what: 'its change' });
  });
});

describe.concurrent('cluster', () => {
  it('follows every primary, slots on the move and failovers', { timeout: 90_000 }, async (test) => {
    const cluster = await startCluster();
    test.onTestFinished(() => cluster.stop());
    const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }));
    const near = await openTracking({ cluster: { nodes: nodes.slice(0, 2) } }, test);
    const keys = Array.from({ length: 12 }, (_, i) => `${PREFIX}{k${i}}`);
    const write = async (key: string, version: number): Promise<void> => {
      const owner = await cluster.ownerOf(keySlot(key));
      await owner.admin('SET', key, version);
    };
    const watch = new Watch(near, keys, write);
    await until(() => watch.l1Hits > 50, { what: 'hits' });

    const slot = keySlot(keys[0] ?? '');
    const from = await cluster.ownerOf(slot);
    const to = (await cluster.masters()).find(({ port }) => port !== from.port);
    if (to === undefined) throw new Error('there are three masters');
    await cluster.moveSlot(slot, to);
    const [hits, reads] = [watch.l1Hits, watch.reads];
    await until(() => watch.l1Hits > hits + 50, { what: 'hits after the move', timeout: 20_000 });
    await watch.stop();
    await watch.expectNothingStale();
    console.log(
      `slot move: ${watch.reads} reads (${reads} until it was done), ${watch.l1Hits} from L1, stale ${watch.ages.length}, worst ${watch.worst.toFixed(1)} ms`,
    );
    expect(watch.worst).toBeLessThan(1_000);
    expect(near.states).toContain('lost: the slots have other owners');

    const before = near.states.length;
    await to.kill();
    await cluster.settled(to);
    await until(() => near.states.length > before, { what: 'the loss' });
    expect(near.states.at(before)).toMatch(/^lost/u);
    await tracked(near, 30_000);
    const after = new Watch(near, keys, (key, version) => write(key, 1_000_000 + version));
    await until(() => after.l1Hits > 50, { what: 'hits after the failover', timeout: 20_000 });
    await after.stop();
    await after.expectNothingStale();
    expect(after.worst).toBeLessThan(1_000);
  });

  it('is known when every primary was named to begin with', async (test) => {
    const cluster = await startCluster();
    test.onTestFinished(() => cluster.stop());
    const masters = (await cluster.masters()).map(({ host, port }) => ({ host, port }));
    const near = open({ cluster: { nodes: masters } }, test);
    await near.adapter.port.connect();
    await tracked(near);
  });
});

describe('embedded', () => {
  it('tells of writes, expiry, eviction and scripts at once', async () => {
    const near = await openTracking({ topology: 'embedded', embedded: { maxEntries: 3 } });
    const key = `${PREFIX}k,ключ`;
    await near.client.command('SET', [key, '1']);
    await warm(near, key);
    const writing = near.client.command('SET', [key, '2']);
    expect(near.store.get(key)).toBeInstanceOf(Promise);
    await writing;
    await warm(near, key);
    const expiring = near.client.command('PEXPIRE', [key, '1']);
    expect(near.store.get(key)).toBeInstanceOf(Promise);
    await expiring;
    await until(async () => (await near.store.get(key)) === undefined, { what: 'the expiry' });

    await near.client.command('SET', [key, '3', 'EX', '100']);
    await warm(near, key);
    for (const other of ['a', 'b', 'c']) await near.client.command('SET', [other, 'x', 'EX', '100']);
    expect(await near.store.get(key)).toBeUndefined();
  });
});
