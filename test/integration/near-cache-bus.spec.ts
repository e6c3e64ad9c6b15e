/**
 * The near cache where Redis will not announce changes: processes tell each other. Two caches over connections
 * of their own stand for two processes; near-cache-processes.spec.ts has real ones.
 */
import { beforeAll, afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { CacheService, createRedis, type CacheOutcome, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { NearCache, resolveL1, type L1Options } from '@anbar/nestjs-redis/cache';
import type { RedisClient } from '@anbar/nestjs-redis/connection';
import {
  admin,
  shared,
  startFaultProxy,
  startStandalone,
  until,
  type Standalone,
} from '../topology/index.js';

const CHANNEL = 'app:v1:bus';
/** How late an acknowledged change may be seen elsewhere; a busy machine needs room. */
const LATE_MS = 200;

interface Peer {
  readonly client: RedisClient;
  readonly cache: CacheService;
  readonly near: NearCache;
}

function open(options: RedisModuleOptions, l1Options: L1Options = {}, wrap = same): Peer {
  const redis = createRedis({ connectTimeout: '5s', ...options, cache: { l1: false } }, {});
  const client = wrap(redis.adapter.port);
  const l1 = resolveL1(l1Options);
  if (l1 === false) throw new Error('it is on');
  const near = new NearCache({ client, l1 });
  const cache = new CacheService({ client, namespace: 'app', tiers: near.tiers }, { jitter: 0 });
  near.start();
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await near.close();
    await redis.disconnect();
  });
  return { client, cache, near };
}

const same = (client: RedisClient): RedisClient => client;

async function byBus(...peers: readonly Peer[]): Promise<void> {
  for (const { near, cache } of peers) {
    near.start();
    await cache.get('any').catch(() => undefined);
    await until(() => near.stats().by === 'bus', { what: 'the bus' });
  }
  // Each has to hear of the others once, which empties what it holds.
  await new Promise((resolve) => setTimeout(resolve, 350));
}

async function answerOf({ cache }: Peer, key: string): Promise<{ seen: unknown; tier: CacheOutcome }> {
  let tier: CacheOutcome = 'miss';
  const seen = await cache.get(key, { onOutcome: (outcome) => void (tier = outcome) });
  return { seen, tier };
}

async function outcomeOf(peer: Peer, key: string): Promise<CacheOutcome> {
  return (await answerOf(peer, key)).tier;
}

async function warm(peer: Peer, key: string): Promise<void> {
  await until(async () => (await outcomeOf(peer, key)) === 'l1', { what: `${key} in L1`, every: 1 });
}

/** Milliseconds until that peer no longer answers what was before. */
async function lag(peer: Peer, key: string, before: unknown): Promise<number> {
  const since = performance.now();
  while ((await peer.cache.get(key)) === before) {
    if (performance.now() - since > 5_000) return Infinity;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return performance.now() - since;
}

describe('a server that refuses CLIENT TRACKING', () => {
  let server: Standalone;
  beforeAll(async () => {
    const rules = '~app:* &app:* +@all -client|tracking';
    server = await startStandalone({ acl: { user: 'app', password: 'secret', rules } });
  });
  afterAll(() => server.stop());

  it('is followed by the bus, and whatever one acknowledges reaches the other', async () => {
    const [one, other] = [open({ url: server.url }), open({ url: server.url })];
    await byBus(one, other);
    const { interruptions } = one.near.stats();
    const lags: number[] = [];
    const changes: [string, () => Promise<unknown>][] = [
      ['set', () => other.cache.set('k', 'new', { tags: ['t'] })],
      ['delete', () => other.cache.delete('k')],
      ['deleteMany', () => other.cache.deleteMany(['x', 'k'])],
      ['invalidateTags', () => other.cache.invalidateTags('t')],
      ['deletePrefix', () => other.cache.deletePrefix('k')],
      ['flush', () => other.cache.flush()],
      [
        'a load that stores',
        async () => {
          await other.cache.delete('k');
          await other.cache.getOrSet('k', () => 'loaded');
        },
      ],
    ];
    for (let round = 0; round < 5; round += 1) {
      for (const [name, change] of changes) {
        await one.cache.set('k', 'old', { tags: ['t'] });
        await warm(one, 'k');
        await change();
        const late = await lag(one, 'k', 'old');
        expect(late, name).toBeLessThan(LATE_MS);
        lags.push(late);
      }
    }
    lags.sort((a, b) => a - b);
    console.log(
      `bus, after the acknowledgement: p50 ${lags[17]?.toFixed(2)} ms, max ${lags.at(-1)?.toFixed(2)} ms`,
    );
    expect(one.near.stats().interruptions).toBe(interruptions);
  });

  it('an expiry that is changed reaches the other too', async () => {
    const [one, other] = [open({ url: server.url }), open({ url: server.url })];
    await byBus(one, other);
    await one.cache.set('e', 1, '1h');
    await warm(one, 'e');
    await other.cache.expire('e', '100ms');
    await until(async () => (await one.cache.get('e')) === undefined, { what: 'the expiry', timeout: 2_000 });
  });

  it('counters and hashes are never held', async () => {
    const [one, other] = [open({ url: server.url }), open({ url: server.url })];
    await byBus(one, other);
    for (let n = 1; n < 10; n += 1) {
      await other.cache.incr('n');
      expect(await one.cache.get('n')).toBe(n);
    }
    await other.cache.delete('n');
  });

  it('what is done by hand is seen when busTtl is over', async () => {
    const one = open({ url: server.url }, { busTtl: '300ms' });
    await byBus(one);
    await one.cache.set('k', 'by us');
    await warm(one, 'k');
    await server.process.admin('DEL', 'app:v1:cache:default:{k}');
    expect(await one.cache.get('k')).toBe('by us');
    expect(await lag(one, 'k', 'by us')).toBeLessThan(300 + LATE_MS);
  });

  it('a hole in what a process tells empties L1', async () => {
    const one = open({ url: server.url });
    await byBus(one);
    const say = (text: string): Promise<unknown> => server.process.admin('PUBLISH', CHANNEL, text);
    await say('1 changed by-hand-1 1 []');
    await one.cache.set('k', 'kept');
    await warm(one, 'k');
    await say('1 changed by-hand-1 2 []');
    expect(await outcomeOf(one, 'k')).toBe('l1');
    await say('1 changed by-hand-1 4 []');
    await until(() => one.near.stats().entries === 0, { what: 'an empty L1', every: 1, timeout: 1_000 });
    await warm(one, 'k');
    await say('something that nobody here understands');
    await until(() => one.near.stats().entries === 0, { what: 'an empty L1', every: 1, timeout: 1_000 });
  });

  it('a message that was dropped is missed at the next beat', async () => {
    let drop = 0;
    const dropping = (client: RedisClient): RedisClient =>
      withCommand(client, (name, args, options) => {
        if (name !== 'PUBLISH' || drop === 0 || !String(args[1]).startsWith('1 changed'))
          return client.command(name, args, options);
        drop -= 1;
        return Promise.resolve(1 as never);
      });
    const one = open({ url: server.url });
    const lossy = open({ url: server.url }, {}, dropping);
    await byBus(one, lossy);
    await one.cache.set('k', 'old');
    await warm(one, 'k');
    drop = 1;
    await lossy.cache.set('k', 'new');
    const late = await lag(one, 'k', 'old');
    console.log(`a dropped announcement was noticed after ${late.toFixed(0)} ms`);
    expect(late).toBeLessThan(1_000);
  });

  it('a cut connection: in doubt within a second, and nothing stale after it', async () => {
    const proxy = await startFaultProxy({ to: { port: server.port } });
    onTestFinished(() => proxy.stop());
    const behind = open({ url: server.url.replace(`:${server.port}`, `:${proxy.port}`) });
    const direct = open({ url: server.url });
    await byBus(behind, direct);
    const read = (): Promise<unknown> => behind.cache.get('k');
    let worst = 0;
    let staleAfter = 0;
    let version = 0;
    for (const strike of ['rst', 'blackhole'] as const) {
      await direct.cache.set('k', (version += 1));
      await warm(behind, 'k');
      if (strike === 'rst') proxy.rst();
      else proxy.blackhole('both');
      const cutAt = performance.now();
      while (performance.now() - cutAt < 1_500) {
        await direct.cache.set('k', (version += 1));
        await new Promise((resolve) => setTimeout(resolve, 10));
        const startedAt = performance.now();
        const { seen, tier } = await answerOf(behind, 'k');
        if (tier === 'l1' && Number(seen) < version) worst = Math.max(worst, startedAt - cutAt);
        if (tier === 'l2' && Number(seen) < version) staleAfter += 1;
      }
      await proxy.pass();
      await until(() => behind.near.stats().by === 'bus', { what: 'the bus again' });
      for (let i = 0; i < 50; i += 1) {
        if (Number(await read()) < version) staleAfter += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    console.log(`cut: stale from L1 for at most ${worst.toFixed(0)} ms; stale reads after it ${staleAfter}`);
    expect(worst).toBeLessThan(1_000);
    expect(staleAfter).toBe(0);
    expect(behind.near.stats().interruptions).toBeGreaterThan(0);
  });
});

describe('when to take it', () => {
  it('tracking is preferred where it stands, and nobody is told anything then', async () => {
    const { url, port } = await shared('standalone');
    const one = open({ url });
    await one.cache.get('any');
    await until(() => one.near.stats().by === 'tracking', { what: 'tracking' });
    const channels = await admin(port, 'PUBSUB', 'NUMSUB', CHANNEL);
    expect(channels).toEqual([CHANNEL, 0]);
  });

  it("'tracking' is off where the server refuses, and 'auto' does without a forbidden bus", async () => {
    const rules = '~app:* resetchannels &app:v1:wake* +@all -client|tracking';
    const server = await startStandalone({ acl: { user: 'app', password: 'secret', rules } });
    onTestFinished(() => server.stop());
    const strict = open({ url: server.url }, { sync: 'tracking' });
    const auto = open({ url: server.url });
    for (const peer of [strict, auto]) {
      await peer.cache.set('k', 1);
      await until(() => peer.near.stats().state === 'refused', { what: 'the refusal' });
      await peer.cache.set('k', 2);
      for (let i = 0; i < 10; i += 1) expect(await outcomeOf(peer, 'k')).toBe('l2');
    }
    const asked = open({ url: server.url }, { sync: 'bus' });
    // It was written out, so a change that can not be announced is not acknowledged.
    await expect(asked.cache.set('k', 3)).rejects.toThrow('NOPERM');
  });

  it('reads from replicas are followed by nothing', async () => {
    const { url } = await shared('standalone');
    const one = open({ url, readFrom: 'preferReplica' });
    await until(() => one.near.stats().state === 'refused', { what: 'the refusal' });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(one.near.stats().by).toBeUndefined();
  });

  it('works across the nodes of a cluster', async () => {
    const { nodes } = await shared('cluster');
    const [one, other] = [nodes.slice(0, 1), nodes.slice(1, 2)].map((some) =>
      open({ cluster: { nodes: some } }, { sync: 'bus' }),
    );
    if (one === undefined || other === undefined) throw new Error('there are two');
    await byBus(one, other);
    const { interruptions } = one.near.stats();
    for (let i = 0; i < 30; i += 1) {
      await one.cache.set(['c', i], 'old', { tags: [`t${i}`] });
      await warm(one, `c:${i}`);
      await (i % 2 === 0 ? other.cache.set(['c', i], 'new') : other.cache.invalidateTags(`t${i}`));
      expect(await lag(one, `c:${i}`, 'old')).toBeLessThan(LATE_MS);
    }
    expect(one.near.stats().interruptions).toBe(interruptions);
  });

  it('works on the embedded default', async () => {
    const one = open({ topology: 'embedded' }, { sync: 'bus' });
    await one.cache.get('any');
    await until(() => one.near.stats().by === 'bus', { what: 'the bus' });
    await one.cache.set('k', 1);
    await warm(one, 'k');
    await one.cache.set('k', 2);
    expect(await one.cache.get('k')).toBe(2);
  });
});

/** A client with another way for single commands. */
function withCommand(client: RedisClient, command: RedisClient['command']): RedisClient {
  return {
    name: client.name,
    topology: client.topology,
    command,
    connect: (...args) => client.connect(...args),
    disconnect: (...args) => client.disconnect(...args),
    pipeline: (...args) => client.pipeline(...args),
    run: (...args) => client.run(...args),
    scan: (...args) => client.scan(...args),
    subscribe: (...args) => client.subscribe(...args),
    track: (...args) => client.track(...args),
    status: () => client.status(),
    isolate: (...args) => client.isolate(...args),
    restore: (...args) => client.restore(...args),
    on: (...args) => client.on(...args),
  };
}
