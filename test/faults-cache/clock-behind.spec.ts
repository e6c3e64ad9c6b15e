/**
 * The server that answers now is not the one that did, and its clock is behind: what this process or another one
 * invalidates from then on is gone all the same.
 */
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { CacheService } from '@anbar/nestjs-redis/cache';
import { createClient, resolveConnection, type RedisClient } from '@anbar/nestjs-redis/connection';
import {
  startSentinel,
  startStandalone,
  until,
  type RedisProcess,
  type Standalone,
} from '../topology/index.js';

/** By how much the clock of the old server was ahead. */
const AHEAD_MICROS = 3_600_000_000;
const TAGS = ['t'];

let server: Standalone;
let caches: CacheService[];

beforeEach(async () => {
  caches = [];
  server = await startStandalone();
});

afterEach(async () => {
  await Promise.all(caches.map((cache) => cache.disconnect({ drain: '0s' })));
  await server.stop();
});

function open(client: RedisClient = createClient(resolveConnection('clock', {}, [server]))): CacheService {
  const cache = new CacheService({ client, namespace: 'app', ownsClient: true }, { earlyRefresh: false });
  caches.push(cache);
  return cache;
}

async function isAnswered(cache: CacheService): Promise<boolean> {
  return until(() => cache.set('ping', 1).catch(() => false), { what: 'the server to answer' });
}

async function setAhead(process: RedisProcess): Promise<void> {
  const [seconds, micros] = ((await process.admin('TIME')) as unknown[]).map(Number);
  const ahead = (seconds ?? 0) * 1_000_000 + (micros ?? 0) + AHEAD_MICROS;
  await process.admin('SET', 'app:v1:clock', ahead);
}

/** A process that has seen a clock ahead of that of the server that answers it now. */
async function openAhead(): Promise<CacheService> {
  await setAhead(server.process);
  const cache = open();
  await cache.getOrSet('seen', () => 1, { tags: TAGS });
  await server.process.restart('empty');
  await isAnswered(cache);
  return cache;
}

describe('what is stored after the change', () => {
  const ways = [
    ['by set', (cache: CacheService) => cache.set('k', 'old', { tags: TAGS })],
    ['by a load', (cache: CacheService) => cache.getOrSet('k', () => 'old', { tags: TAGS })],
    ['by a load of many', (cache: CacheService) => cache.getOrSetMany(['k'], () => ['old'], { tags: TAGS })],
  ] as const;

  it.each(ways)('%s is gone when this process has invalidated its tag', async (_way, store) => {
    const cache = await openAhead();
    await store(cache);
    expect(await cache.get('k')).toBe('old');
    await cache.invalidateTags('t');
    expect(await cache.get('k')).toBeUndefined();
    expect(await open().get('k')).toBeUndefined();
  });

  it.each(ways)(
    '%s is gone when a process has invalidated its tag that knew nothing',
    async (_way, store) => {
      const cache = await openAhead();
      await store(cache);
      expect(await cache.get('k')).toBe('old');
      const other = open();
      await other.invalidateTags('t');
      expect(await other.get('k')).toBeUndefined();
      expect(await cache.get('k')).toBeUndefined();
    },
  );

  it.each(ways)('%s is gone when the cache has been flushed', async (_way, store) => {
    const cache = await openAhead();
    await store(cache);
    await open().flush();
    expect(await cache.get('k')).toBeUndefined();
  });
});

it('a load under way during the change does not bring back what was invalidated after it', async () => {
  const cache = await openAhead();
  let load: (value: string) => void = () => undefined;
  const loading = cache.getOrSet('k', () => new Promise<string>((resolve) => (load = resolve)), {
    tags: TAGS,
  });
  await until(async () => (await cache.explain('k')).lease !== undefined, { what: 'the lease', every: 2 });
  await open().invalidateTags('t');
  load('old');
  await loading;
  expect(await cache.get('k')).toBeUndefined();
});

it('a failover to a server that has lost the latest clock hides no invalidation, by whomever', async () => {
  const topology = await startSentinel();
  onTestFinished(() => topology.stop());
  const sentinel = { name: topology.name, nodes: topology.sentinels };
  const connect = (): RedisClient =>
    createClient(resolveConnection('clock', { sentinel }, topology.sentinels));
  const [old, replicas] = [await topology.primary(), await topology.replicas()];
  const cache = open(connect());
  await cache.connect();
  await cache.set('before', 1, { tags: TAGS });
  await Promise.all(replicas.map((replica) => replica.freeze()));
  // Or they would find what was sent to them when they wake up.
  await old.admin('CLIENT', 'KILL', 'TYPE', 'replica');
  await setAhead(old);
  await cache.getOrSet('seen', () => 1, { tags: TAGS });
  await old.kill();
  await Promise.all(replicas.map((replica) => replica.thaw()));
  const answered = (): Promise<boolean> => cache.set('k', 'old', { tags: TAGS }).catch(() => false);
  await until(answered, { what: 'the failover', timeout: 15_000 });
  expect(await cache.get('k')).toBe('old');
  const other = open(connect());
  await other.connect();
  await other.invalidateTags('t');
  expect([await other.get('k'), await cache.get('k')]).toEqual([undefined, undefined]);
}, 40_000);
