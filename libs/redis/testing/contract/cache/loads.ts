/** getOrSet: one load for all, and what becomes of those who wait. */
import assert from 'node:assert/strict';
import type { CacheOutcome } from '../../../src/cache/index.js';
import { eventually, reason, rejection } from '../expectations.js';
import { cacheOf, elsewhere, pause, rawKey, SlowOrigin, type CacheCase } from './subject.js';

class OriginError extends Error {
  readonly code = 'E_ORIGIN';
  constructor() {
    super('the origin is down');
    this.name = 'OriginError';
  }
}

const CALLERS = 50;

function callers<T>(call: () => Promise<T>): Promise<T>[] {
  return Array.from({ length: CALLERS }, call);
}

const sharing: readonly CacheCase[] = [
  {
    name: 'one load for all callers, here and elsewhere',
    async run(subject, tools) {
      const caches = [cacheOf(subject, tools), await elsewhere(tools), await elsewhere(tools)];
      let calls = 0;
      const load = async (): Promise<number> => {
        calls += 1;
        await pause(50);
        return calls;
      };
      const answers = await Promise.all(caches.flatMap((cache) => callers(() => cache.getOrSet('k', load))));
      assert.deepEqual(new Set(answers), new Set([1]));
      assert.equal(calls, 1);
    },
  },
  {
    name: 'a failing load is called once and fails all who wait with the same error, here and elsewhere',
    async run(subject, tools) {
      const caches = [cacheOf(subject, tools), await elsewhere(tools), await elsewhere(tools)];
      let calls = 0;
      const load = async (): Promise<number> => {
        calls += 1;
        await pause(50);
        throw new OriginError();
      };
      const errors = await Promise.all(
        caches.flatMap((cache) => callers(() => reason(cache.getOrSet('k', load)))),
      );
      assert.equal(calls, 1);
      for (const error of errors) {
        assert.ok(error instanceof Error);
        assert.deepEqual(
          [error.name, error.message, Reflect.get(error, 'code')],
          ['OriginError', 'the origin is down', 'E_ORIGIN'],
        );
      }
      assert.equal(await caches[1]?.getOrSet('k', () => 7), 7, 'whoever comes later loads anew');
    },
  },
  {
    name: 'who dies while loading is replaced when its lease has run out',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const lease = rawKey(subject, tools, { family: 'lease', name: 'k' });
      await subject.client.command('SET', [lease, `+${'dead'.padEnd(20, '0')}`, 'PX', 300]);
      const startedAt = performance.now();
      assert.equal(await cache.getOrSet('k', () => 'alive'), 'alive');
      const took = performance.now() - startedAt;
      assert.ok(took > 200 && took < 1_500, `took ${took} ms`);
    },
  },
  {
    name: 'a loader longer than the lease keeps it',
    async run(subject, tools) {
      const options = { lease: '150ms' } as const;
      const caches = [cacheOf(subject, tools, options), await elsewhere(tools, options)];
      let calls = 0;
      const load = async (): Promise<string> => {
        calls += 1;
        await pause(700);
        return 'slow';
      };
      const answers = await Promise.all(caches.map((cache) => cache.getOrSet('k', load)));
      assert.deepEqual(answers, ['slow', 'slow']);
      assert.equal(calls, 1);
      assert.equal(await caches[1]?.get('k'), 'slow');
    },
  },
  {
    name: 'undefined stores nothing and is shared; who comes later loads anew',
    async run(subject, tools) {
      const caches = [cacheOf(subject, tools), await elsewhere(tools)];
      let calls = 0;
      const load = async (): Promise<undefined> => {
        calls += 1;
        await pause(50);
      };
      const answers = await Promise.all(caches.map((cache) => cache.getOrSet('k', load)));
      assert.deepEqual(answers, [undefined, undefined]);
      assert.equal(calls, 1);
      assert.equal(await caches[0]?.has('k'), false);
      await caches[0]?.getOrSet('k', load);
      assert.equal(calls, 2);
    },
  },
  {
    name: 'a caller who gives up leaves the others; when all have, the loader is told',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const controller = new AbortController();
      let started = false;
      let told: unknown;
      const load = ({ signal }: { signal: AbortSignal }): Promise<string> =>
        new Promise((resolve, reject) => {
          started = true;
          const timer = setTimeout(resolve, 5_000, 'late');
          signal.addEventListener('abort', () => {
            told = signal.reason;
            clearTimeout(timer);
            reject(new Error('stopped'));
          });
        });
      const waiting = reason(cache.getOrSet('k', load, { signal: controller.signal }));
      await eventually('the loader to run', () => started);
      controller.abort(new Error('not interested'));
      assert.match(String(await waiting), /not interested/u);
      await eventually('the loader to be told', () => told !== undefined);
      assert.equal(await cache.getOrSet('k', () => 'next'), 'next');
    },
  },
  {
    name: 'a loader that asks for its own key is refused instead of waiting for itself',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const load = (): Promise<number> => cache.getOrSet('outer', () => cache.getOrSet('k', () => 1));
      await rejection(() => cache.getOrSet('k', load), 'CACHE_RECURSIVE_LOAD');
      for (const own of ['b:1', 'b:2']) {
        const many = async (): Promise<number[]> => [await cache.getOrSet(own, () => 1), 2];
        await rejection(() => cache.getOrSetMany(['b:1', 'b:2'], many), 'CACHE_RECURSIVE_LOAD');
      }
    },
  },
];

const staleness: readonly CacheCase[] = [
  {
    name: 'within stale the old value is answered at once and a new one is loaded behind it, once',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools, { stale: '1m' });
      await cache.getOrSet('k', () => 'old', { ttl: '30ms' });
      await pause(40);
      const origin = new SlowOrigin('new');
      const outcomes: CacheOutcome[] = [];
      const onOutcome = (outcome: CacheOutcome): void => void outcomes.push(outcome);
      const answers = await Promise.all(callers(() => cache.getOrSet('k', origin.load, { onOutcome })));
      assert.deepEqual([new Set(answers), new Set(outcomes)], [new Set(['old']), new Set(['stale'])]);
      await origin.started();
      origin.finish();
      await eventually('the new value', async () => (await cache.get('k')) === 'new');
      assert.equal(origin.calls, 1);
    },
  },
  {
    name: 'get does not answer what is stale, unless told how stale it may be',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.getOrSet('k', () => 'old', { ttl: '30ms' });
      await pause(40);
      assert.equal(await cache.get('k'), undefined);
      assert.equal(await cache.get('k', { stale: '1m' }), 'old');
    },
  },
  {
    name: 'when loading fails the old value is answered, and the origin is left alone for a while',
    async run(subject, tools) {
      const options = { staleOnError: '1m', retryAfter: '10s' } as const;
      const caches = [cacheOf(subject, tools, options), await elsewhere(tools, options)];
      await caches[0]?.getOrSet('k', () => 'old', { ttl: '30ms' });
      await pause(40);
      let calls = 0;
      const failing = (): Promise<string> => {
        calls += 1;
        return Promise.reject(new OriginError());
      };
      for (const cache of [...caches, ...caches]) {
        let outcome: CacheOutcome = 'miss';
        const onOutcome = (each: CacheOutcome): void => void (outcome = each);
        assert.equal(await cache.getOrSet('k', failing, { onOutcome }), 'old');
        assert.equal(outcome, 'stale');
      }
      assert.equal(calls, 1);
      await assert.rejects(async () => caches[0]?.getOrSet('k', failing, { staleOnError: '1ms' }));
    },
  },
  {
    name: 'a load that nobody waited out has failed: the origin is left alone for a while',
    async run(subject, tools) {
      const options = { staleOnError: '1m', retryAfter: '10s', loadTimeout: { hard: '80ms' } } as const;
      const caches = [cacheOf(subject, tools, options), await elsewhere(tools, options)];
      await caches[0]?.getOrSet('k', () => 'old', { ttl: '30ms' });
      await pause(40);
      let calls = 0;
      const hanging = (): Promise<string> => {
        calls += 1;
        return new Promise(() => undefined);
      };
      for (const cache of [...caches, ...caches]) assert.equal(await cache.getOrSet('k', hanging), 'old');
      assert.equal(calls, 1);
    },
  },
  {
    name: 'a grace shorter than the ttl does not shorten the ttl',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools, { staleOnError: '50ms' });
      await cache.getOrSet('k', () => 'v', { ttl: '10s' });
      const left = await subject.client.command<number>('PTTL', [
        rawKey(subject, tools, { family: 'cache', name: 'k' }),
      ]);
      assert.ok(left > 9_000, `${left} ms are left`);
    },
  },
  {
    name: 'soft timeout: the old value is answered and the load goes on; hard timeout: it fails',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.getOrSet('k', () => 'old', { ttl: '30ms' });
      await pause(40);
      const origin = new SlowOrigin('new');
      const timeout = { soft: '30ms', hard: '5s' } as const;
      assert.equal(await cache.getOrSet('k', origin.load, { timeout }), 'old');
      origin.finish();
      await eventually('the load that went on', async () => (await cache.get('k')) === 'new');
      const never = (): Promise<string> => new Promise(() => undefined);
      const hard = { timeout: { hard: '50ms' } } as const;
      await rejection(() => cache.getOrSet('other', never, hard), 'CACHE_LOAD_TIMEOUT');
      assert.equal(await cache.getOrSet('other', () => 'next'), 'next');
    },
  },
];

const decisions: readonly CacheCase[] = [
  {
    name: 'null from a loader is kept as "there is nothing", for its own time',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools, { negativeTtl: '5s' });
      let calls = 0;
      const load = (): null => {
        calls += 1;
        return null;
      };
      assert.equal(await cache.getOrSet('k', load), null);
      let outcome: CacheOutcome = 'miss';
      assert.equal(await cache.getOrSet('k', load, { onOutcome: (each) => void (outcome = each) }), null);
      assert.deepEqual([calls, outcome], [1, 'negative']);
      assert.equal(await cache.get('k'), null);
      assert.ok(Number(await cache.ttl('k')) <= 5);
      assert.equal(cache.stats().negative, 2);
    },
  },
  {
    name: 'the loader decides: its ttl, its tags, or not to store',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const tag = tools.key('own-tag').replaceAll(':', '-');
      await cache.getOrSet('k', ({ setTtl, setTags }) => {
        setTtl('5s');
        setTags([tag]);
        return 1;
      });
      assert.ok(Number(await cache.ttl('k')) <= 5);
      assert.deepEqual(
        (await cache.explain('k')).tags.map((each) => each.tag),
        [tag],
      );
      assert.equal(
        await cache.getOrSet('skipped', ({ skip }) => {
          skip();
          return 2;
        }),
        2,
      );
      assert.equal(await cache.has('skipped'), false);
    },
  },
  {
    name: 'a tag that names nothing fails the call, and the loader that sets it; the key is free at once',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await rejection(() => cache.set('k', 1, { tags: [''] }), 'INVALID_CACHE_KEY');
      await rejection(() => cache.getOrSet('k', () => 1, { tags: [''] }), 'INVALID_CACHE_KEY');
      await rejection(() => cache.getOrSet('k', ({ setTags }) => setTags([''])), 'INVALID_CACHE_KEY');
      const startedAt = performance.now();
      assert.equal(await cache.getOrSet('k', () => 2), 2);
      const took = performance.now() - startedAt;
      assert.ok(took < 1_000, `took ${took} ms`);
      assert.equal(cache.stats().failures, 0);
    },
  },
  {
    name: 'the loader is told the key and the value it replaces',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.getOrSet(['a', 1], () => 'old', { ttl: '30ms' });
      await pause(40);
      let told: unknown;
      await cache.getOrSet<string>(['a', 1], ({ key, stale }) => {
        told = [key, stale];
        return 'new';
      });
      assert.deepEqual(told, [['a', 1], 'old']);
    },
  },
  {
    name: 'a loaded value that can not be stored is answered all the same, and not stored',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const value = { run: () => 1 };
      assert.equal(await cache.getOrSet('k', () => value), value);
      assert.equal(cache.stats().unstorable, 1);
      assert.equal(await cache.getOrSet('k', () => 2), 2);
    },
  },
  {
    name: 'getOrSetMany: one call of the loader for all that is missing, in the order of the keys',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.set('b:2', 'there');
      const keys = ['b:1', 'b:2', 'b:3', 'b:1', 'b:4'];
      const asked: unknown[] = [];
      const load = (missing: readonly unknown[]): (string | null | undefined)[] => {
        asked.push(missing);
        return missing.map((key) =>
          key === 'b:3' ? null : key === 'b:4' ? undefined : `loaded ${String(key)}`,
        );
      };
      assert.deepEqual(await cache.getOrSetMany(keys, load), [
        'loaded b:1',
        'there',
        null,
        'loaded b:1',
        undefined,
      ]);
      assert.deepEqual(asked, [['b:1', 'b:3', 'b:4']]);
      assert.deepEqual(await cache.getMany(['b:1', 'b:3', 'b:4']), ['loaded b:1', null, undefined]);
      const byKey = await cache.getOrSetMany(
        [
          ['m', 1],
          ['m', 2],
        ],
        (missing) => new Map(missing.map((key) => [key, key[1]])),
      );
      assert.deepEqual(byKey, [1, 2]);
    },
  },
  {
    name: 'getOrSetMany shares keys with loads elsewhere, and a failure fails all who need the loader',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const other = await elsewhere(tools);
      const origin = new SlowOrigin('of the other');
      const single = other.getOrSet('b:1', origin.load);
      await origin.started();
      const many = cache.getOrSetMany(['b:1', 'b:2'], (missing) =>
        missing.map((key) => `of many ${String(key)}`),
      );
      await pause(30);
      origin.finish();
      assert.equal(await single, 'of the other');
      assert.deepEqual(await many, ['of the other', 'of many b:2']);
      const failing = (): Promise<string[]> => Promise.reject(new OriginError());
      await assert.rejects(cache.getOrSetMany(['c:1', 'c:2'], failing), /the origin is down/u);
      assert.deepEqual(await cache.getOrSetMany(['c:1', 'c:2'], () => ['x', 'y']), ['x', 'y']);
    },
  },
  {
    name: 'explain and stats say where answers came from and why',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const tag = tools.key('explained').replaceAll(':', '-');
      assert.equal((await cache.explain('k')).state, 'absent');
      const origin = new SlowOrigin(1);
      const loading = cache.getOrSet('k', origin.load, { tags: [tag] });
      await origin.started();
      assert.equal((await cache.explain('k')).lease?.holder.length, 20);
      origin.finish();
      await loading;
      const fresh = await cache.explain('k');
      assert.deepEqual(
        [fresh.state, fresh.tags.map(({ valid }) => valid), fresh.lease],
        ['fresh', [true], undefined],
      );
      await cache.get('k');
      await cache.invalidateTags(tag);
      const invalid = await cache.explain('k');
      assert.equal(invalid.state, 'invalidated');
      assert.match(invalid.why, new RegExp(tag, 'u'));
      const { l2Hits, l1Hits, fallbackHits, misses, loads, hitRate } = cache.stats();
      assert.deepEqual([l2Hits + l1Hits + fallbackHits, misses, loads, hitRate], [1, 1, 1, 0.5]);
    },
  },
];

export const loads: readonly CacheCase[] = [...sharing, ...staleness, ...decisions];
