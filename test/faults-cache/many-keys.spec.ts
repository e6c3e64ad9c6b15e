/** `getOrSetMany` with more keys than a connection takes at once: one call of the loader, and all else as for one key. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CacheService, type CacheOptions } from '@anbar/nestjs-redis/cache';
import { createClient, resolveConnection, type Key } from '@anbar/nestjs-redis/connection';
import { admin, shared, until } from '../topology/index.js';

const COUNT = 3_000;
const TAGS = Array.from({ length: 8 }, (_, i) => `tag ${i}`);

let address: { readonly host: string; readonly port: number };

beforeAll(async () => {
  address = await shared('standalone');
});

function open(namespace: string, options: CacheOptions = {}): CacheService {
  const client = createClient(resolveConnection('many', { timeout: '5s' }, [address]));
  const cache = new CacheService({ client, namespace, ownsClient: true }, options);
  onTestFinished(() => cache.disconnect());
  return cache;
}

function named(): string {
  return `many-${randomBytes(6).toString('hex')}`;
}

function keysOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `k${i}`);
}

/** A loader that notes what it was asked for. */
function origin(name: string, work: () => Promise<unknown> = () => Promise.resolve()) {
  const calls: (readonly Key[])[] = [];
  const load = async (missing: readonly Key[]): Promise<string[]> => {
    calls.push(missing);
    await work();
    return missing.map((key) => `${name} ${String(key)}`);
  };
  return { calls, load };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe(`${COUNT} missing keys`, () => {
  it('are one call of the loader, and each of them is stored', async () => {
    const cache = open(named());
    const keys = keysOf(COUNT);
    const wanted = keys.map((key) => `one ${key}`);
    const { calls, load } = origin('one');
    expect(await cache.getOrSetMany(keys, load, { tags: TAGS })).toEqual(wanted);
    expect(calls.map((asked) => asked.length)).toEqual([COUNT]);
    expect(await cache.getMany(keys)).toEqual(wanted);
    const { writes, failures, failedWrites, bypassed } = cache.stats();
    expect({ writes, failures, failedWrites, bypassed }).toEqual({
      writes: COUNT,
      failures: 0,
      failedWrites: 0,
      bypassed: 0,
    });
  });

  it('leave room for other callers of the connection', async () => {
    const cache = open(named());
    await cache.connect();
    const asking = { on: true };
    const { load } = origin('one');
    const others = (async () => {
      let answers = 0;
      while (asking.on) {
        await Promise.all(Array.from({ length: 250 }, (_, i) => cache.set(`other ${i}`, i)));
        answers += 1;
      }
      return answers;
    })();
    await cache.getOrSetMany(keysOf(COUNT), load);
    asking.on = false;
    expect(await others).toBeGreaterThan(0);
    expect(cache.stats().failures).toBe(0);
  });

  it('stay with whoever loads them, however long that takes and however busy the process is', async () => {
    const namespace = named();
    const [cache, other] = [open(namespace, { lease: '1s' }), open(namespace, { lease: '1s' })];
    const keys = keysOf(COUNT);
    const mine = origin('one', async () => {
      const blockedUntil = performance.now() + 300;
      while (performance.now() < blockedUntil);
      await pause(3_000);
    });
    const theirs = origin('other');
    const loading = cache.getOrSetMany(keys, mine.load);
    while (mine.calls.length === 0) await pause(1);
    const answers = await Promise.all([loading, other.getOrSetMany(keys, theirs.load)]);
    expect([mine.calls.length, theirs.calls.length]).toEqual([1, 0]);
    const wanted = keys.map((key) => `one ${key}`);
    expect(answers).toEqual([wanted, wanted]);
    expect(cache.stats().refusedFills).toBe(0);
  }, 30_000);

  it('asked for by two at once: each is loaded once, and each loader called once', async () => {
    const namespace = named();
    const [cache, other] = [open(namespace), open(namespace)];
    const keys = keysOf(COUNT);
    const slowly = () => pause(100);
    const [mine, theirs] = [origin('one', slowly), origin('other', slowly)];
    const backwards = keys.toReversed();
    const [here, there] = await Promise.all([
      cache.getOrSetMany(keys, mine.load),
      other.getOrSetMany(backwards, theirs.load),
    ]);
    expect(there.toReversed()).toEqual(here);
    expect([mine.calls.length, theirs.calls.length]).toEqual([1, 1]);
    expect([...mine.calls, ...theirs.calls].flat().map(String).toSorted()).toEqual(keys.toSorted());
  });

  it('invalidated while they are loaded: none is stored', async () => {
    const cache = open(named());
    const keys = keysOf(COUNT);
    const { calls, load } = origin('old', () => cache.invalidateTags('tag 0'));
    await cache.getOrSetMany(keys, load, { tags: TAGS });
    expect(calls).toHaveLength(1);
    expect(await cache.getMany(keys)).toEqual(keys.map(() => undefined));
  });

  it('fail together when the loader does, and are free at once', async () => {
    const cache = open(named());
    const keys = keysOf(COUNT);
    const failing = () => Promise.reject(new Error('the origin is down'));
    await expect(cache.getOrSetMany(keys, failing)).rejects.toThrow('the origin is down');
    const { calls, load } = origin('one');
    expect(await cache.getOrSetMany(keys, load)).toEqual(keys.map((key) => `one ${key}`));
    expect(calls).toHaveLength(1);
  });
});

it('what is stale is answered, and loaded anew behind the answer in one call', async () => {
  const cache = open(named(), { stale: '1m', jitter: 0 });
  const keys = keysOf(600);
  await cache.getOrSetMany(keys, origin('old').load, { ttl: '50ms' });
  await pause(60);
  const { calls, load } = origin('new');
  const old = keys.map((key) => `old ${key}`);
  expect(await cache.getOrSetMany(keys, load)).toEqual(old);
  await until(async () => (await cache.get(keys[599] ?? '')) === 'new k599', { what: 'the refresh' });
  expect(calls.map((asked) => asked.length)).toEqual([600]);
});

it('what a process that died was loading is taken over together', async () => {
  const namespace = named();
  const cache = open(namespace);
  const keys = keysOf(600);
  const leases = keys.map((key) => `${namespace}:v1:lease:default:{${key}}`);
  const held = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', 1000) end";
  await admin(address.port, 'EVAL', held, leases.length, ...leases, `+${'d'.repeat(20)}`);
  const { calls, load } = origin('one');
  expect(await cache.getOrSetMany(keys, load)).toEqual(keys.map((key) => `one ${key}`));
  expect(calls.flat().map(String).toSorted()).toEqual(keys.toSorted());
  expect(calls.length).toBeLessThan(6);
});
