/**
 * What happens between the look at a key and its end: somebody else takes it into use, and it has to stay. And tags: no
 * clean-up may bring back what an invalidation has ended.
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { cacheCleanup, CacheKeys } from '@anbar/nestjs-redis/cache';
import { CleanupService, resolveCleanup, type CleanupReport } from '@anbar/nestjs-redis/cleanup';
import { createCodec } from '@anbar/nestjs-redis/codec';
import {
  PassingClient,
  type Arg,
  type CallOptions,
  type CleanupRule,
  type RedisClient,
  type Script,
} from '@anbar/nestjs-redis/connection';
import { lockCleanup } from '@anbar/nestjs-redis/lock';
import { rateLimitCleanup } from '@anbar/nestjs-redis/rate-limit';
import { resolveSession, sessionCleanup } from '@anbar/nestjs-redis/session';
import { startStandalone, type Standalone } from '../topology/index.js';

const HOUR = 3_600_000;
const FAST = { budgetPerSecond: 1_000_000, maxLatency: '1m' } as const;
const CLOCKS = { clock: 1_000, createdAt: Date.now() - HOUR };

let server: Standalone;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

async function open(place: 'embedded' | 'standalone'): Promise<Redis> {
  const where = place === 'embedded' ? { topology: 'embedded' as const } : { url: server.url };
  const redis = createRedis(
    { ...where, namespace: 'app', timeout: '5s', cache: { l1: false }, cleanup: FAST },
    {},
  );
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  if (place === 'standalone') await server.process.admin('FLUSHALL');
  return redis;
}

/** Somebody is faster than every script. */
class Outrun extends PassingClient {
  readonly #inner: RedisClient;
  readonly #first: (keys: readonly string[]) => Promise<unknown>;

  constructor(inner: RedisClient, first: (keys: readonly string[]) => Promise<unknown>) {
    super(inner);
    this.#inner = inner;
    this.#first = first;
  }

  override async run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    await this.#first(keys);
    return this.#inner.run(script, keys, args, options);
  }
}

function serviceWith(redis: Redis, client: RedisClient, rules: () => readonly CleanupRule[]): CleanupService {
  const homes = () => [{ name: 'default', client, rules }];
  const settings = resolveCleanup(FAST);
  return new CleanupService({
    client: redis.adapter.port,
    namespace: 'app',
    locks: redis.locks,
    homes,
    settings,
  });
}

const cacheRules = () => cacheCleanup({ namespace: 'app', codec: createCodec(), wallNow: () => Date.now() });

async function envelope(key: string, entry: Readonly<Record<string, unknown>>): Promise<Buffer> {
  return createCodec().encode({ key }, { namespace: 'app', key, entry: { ...CLOCKS, ...entry } });
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

interface Race {
  readonly name: string;
  readonly rules: () => readonly CleanupRule[];
  /** Looks dead. */
  readonly before: (redis: Redis) => Promise<readonly (readonly [string, ...Arg[]])[]>;
  /** Comes back to life. */
  readonly meanwhile: (redis: Redis) => Promise<readonly (readonly [string, ...Arg[]])[]>;
  readonly key: string;
  readonly ttl: number;
}

const TAG = 'u'.repeat(16);
const HANDLE = 'h'.repeat(43);
const VALUE = new CacheKeys('app', 'books').value('raced');
const SESSION = `app:v1:session:{${TAG}}:${HANDLE}`;
const INDEX = `app:v1:session-user:{${TAG}}`;
const sessions = () => sessionCleanup('app', resolveSession());

const RACES: readonly Race[] = [
  {
    name: 'a value that was over and is stored anew, for ever',
    rules: cacheRules,
    key: VALUE,
    ttl: -1,
    before: async () => [['SET', VALUE, await envelope(VALUE, { expiresAt: 5 })]],
    meanwhile: async () => [['SET', VALUE, await envelope(VALUE, { createdAt: Date.now() })]],
  },
  {
    name: 'a lease that is taken',
    rules: cacheRules,
    key: 'app:v1:lease:books:{raced}',
    ttl: HOUR,
    before: async () => [['SET', 'app:v1:lease:books:{raced}', 'x']],
    meanwhile: async () => [['SET', 'app:v1:lease:books:{raced}', 'y', 'PX', HOUR]],
  },
  {
    name: 'a lock that is renewed for longer',
    rules: () => lockCleanup('app'),
    key: 'app:v1:lock:{raced}',
    ttl: 9 * HOUR,
    before: async () => [['SET', 'app:v1:lock:{raced}', 'x']],
    meanwhile: async () => [['PEXPIRE', 'app:v1:lock:{raced}', 9 * HOUR]],
  },
  {
    name: 'a limit that is charged',
    rules: () => rateLimitCleanup('app'),
    key: 'app:v1:limit:f:{raced}:x',
    ttl: HOUR,
    before: async () => [['SET', 'app:v1:limit:f:{raced}:x', 1]],
    meanwhile: async () => [['SET', 'app:v1:limit:f:{raced}:x', 1, 'PX', HOUR]],
  },
  {
    name: 'a session that is used',
    rules: sessions,
    key: SESSION,
    ttl: HOUR,
    before: async () => [['HSET', SESSION, 'i', HOUR, 'a', 0, 't', 1, 'x', 0]],
    meanwhile: async () => [
      ['HSET', SESSION, 't', Date.now()],
      ['PEXPIRE', SESSION, HOUR],
    ],
  },
  {
    name: 'an index whose user logs in',
    rules: sessions,
    key: INDEX,
    ttl: HOUR,
    before: async () => [
      ['ZADD', INDEX, Date.now() + HOUR, HANDLE],
      ['PEXPIRE', INDEX, HOUR],
    ],
    meanwhile: async () => [
      ['HSET', SESSION, 'i', HOUR, 'a', 0, 't', Date.now(), 'x', 1],
      ['PEXPIRE', SESSION, HOUR],
    ],
  },
];

describe.each(['embedded', 'standalone'] as const)('on %s', (place) => {
  it.each(RACES)('$name, stays', async (race) => {
    const redis = await open(place);
    const client = redis.adapter.port;
    const send = async (commands: readonly (readonly [string, ...Arg[]])[]): Promise<void> => {
      for (const [name, ...args] of commands) await client.command(name, args);
    };
    await send(await race.before(redis));
    let raced = 0;
    const outrun = new Outrun(client, async () => {
      raced += 1;
      await send(await race.meanwhile(redis));
    });
    const report = await serviceWith(redis, outrun, race.rules).run();
    expect({
      outcome: report.outcome,
      raced: raced > 0,
      removed: report.removed,
      expiring: report.expiring,
    }).toEqual({
      outcome: 'ok',
      raced: true,
      removed: {},
      expiring: {},
    });
    const left = await client.command<number>('PTTL', [race.key]);
    expect(race.ttl === -1 ? left === -1 : left > race.ttl / 2).toBe(true);
  });

  it('never brings back what an invalidation has ended while it was loaded, whatever becomes of the clock', async () => {
    const redis = await open(place);
    const { cache, cleanup } = redis;
    const client = redis.adapter.port;
    // A value for ever makes the clock of its tag stay for ever; without the value the clock is left over.
    await cache.set('old', 'x', { ttl: 'never', tags: ['shelf'] });
    await cache.delete('old');
    const clock = new CacheKeys('app', 'default').tag('shelf');
    expect(await client.command('PTTL', [clock])).toBe(-1);

    const [begun, loaded] = [deferred<undefined>(), deferred<string>()];
    const load = (): Promise<string> => {
      begun.resolve(undefined);
      return loaded.promise;
    };
    const loading = cache.getOrSet('book', load, { tags: ['shelf'], ttl: '1h' });
    await begun.promise;
    await cache.invalidateTags('shelf');
    const report: CleanupReport = await cleanup.run();
    expect(report.expiring).toEqual({ 'tag-clock': 1 });
    // It is still there for a day: no load lasts that long.
    expect(await client.command<number>('PTTL', [clock])).toBeGreaterThan(23 * HOUR);
    loaded.resolve('from before');
    await loading;
    expect(await cache.get('book')).toBeUndefined();
  });

  it('leaves a value for ever, its tags valid, through any number of runs', async () => {
    const redis = await open(place);
    const { cache, cleanup } = redis;
    await cache.set('kept', 'x', { ttl: 'never', tags: ['a', 'b'] });
    await cache.set('ended', 'x', { ttl: 'never', tags: ['a', 'c'] });
    await cache.invalidateTags('c');
    await cache.incr('count', 1, { ttl: 'never' });
    await cache.hset('fields', 'name', 'x', { ttl: 'never' });
    for (let i = 0; i < 3; i += 1) await cleanup.run();
    expect(await cache.get('kept')).toBe('x');
    expect(await cache.get('ended')).toBeUndefined();
    expect(await cache.get('count')).toBe(1);
    expect(await cache.hget('fields', 'name')).toBe('x');
    await cache.invalidateTags('b');
    expect(await cache.get('kept')).toBeUndefined();
  });

  it('touches no clock of a tag while there is a value for ever whose tags it can not read', async () => {
    const redis = await open(place);
    const client = redis.adapter.port;
    const keys = new CacheKeys('app', 'books');
    await client.command('SET', [keys.tag('unused'), 5]);
    await client.command('SET', [keys.value('of another version'), Buffer.from([0xcb, 9, 0, 0])]);
    expect((await redis.cleanup.run()).expiring).toEqual({});
    await client.command('UNLINK', [keys.value('of another version')]);
    expect((await redis.cleanup.run()).expiring).toEqual({ 'tag-clock': 1 });
  });
});

it('takes copies of this process that could not be answered with, and no others', async () => {
  const { copiesCleanup } = await import('@anbar/nestjs-redis/cache');
  const redis = await open('embedded');
  const client = redis.adapter.port;
  const keys = new CacheKeys('app', 'books');
  const copy = async (name: string, entry: Readonly<Record<string, unknown>>): Promise<void> => {
    const key = keys.value(name);
    await client.command('SET', [key, await envelope(key, entry), 'PX', HOUR]);
  };
  await copy('fresh', { expiresAt: Date.now() + HOUR });
  await copy('over', { expiresAt: Date.now() - 1 });
  await copy('invalidated', { tags: ['a'], expiresAt: Date.now() + HOUR });
  await copy('unknown', { tags: ['never seen'], expiresAt: Date.now() + HOUR });
  await client.command('SET', [keys.tag('a'), CLOCKS.clock + 1]);
  const rules = () => copiesCleanup({ namespace: 'app', codec: createCodec(), wallNow: () => Date.now() });
  expect((await serviceWith(redis, client, rules).run()).removed).toEqual({ fallback: 2 });
  const left = await Promise.all(
    ['fresh', 'over', 'invalidated', 'unknown'].map((name) => client.command('EXISTS', [keys.value(name)])),
  );
  expect(left).toEqual([1, 0, 0, 1]);
});
