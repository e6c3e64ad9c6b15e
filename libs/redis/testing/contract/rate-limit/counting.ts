/** One limit: how much it admits, what it tells, and what it leaves in the store. */
import assert from 'node:assert/strict';
import type { Limit } from '../../../src/rate-limit/index.js';
import { allowedOf, COUNTING, EACH_ALGORITHM, storedFor, times, type RateLimitCase } from './subject.js';

function each(
  limits: readonly Limit[],
  name: string,
  run: (limit: Limit, ...rest: Parameters<RateLimitCase['run']>) => Promise<void>,
): RateLimitCase[] {
  return limits.map((limit) => ({
    name: `${String(limit.algorithm)}: ${name}`,
    run: (subject, tools) => run(limit, subject, tools),
  }));
}

export const counting: readonly RateLimitCase[] = [
  ...each(
    EACH_ALGORITHM,
    'admits as much as the limit, and not one more',
    async (limit, { limiter }, { key }) => {
      const decisions = await times(8, () => limiter.consume(key('s'), limit));
      assert.equal(allowedOf(decisions), 5);
      assert.deepEqual(
        decisions.map(({ limits: [state] }) => state?.remaining),
        [4, 3, 2, 1, 0, 0, 0, 0],
      );
      const last = decisions.at(-1);
      assert.deepEqual(last?.violated, [limit.name]);
      assert.ok((last?.retryAfterMs ?? 0) > 0 && Number.isFinite(last?.retryAfterMs));
    },
  ),
  ...each(
    EACH_ALGORITHM,
    'admits no more when all ask in the same moment',
    async (limit, { limiter }, { key }) => {
      const decisions = await Promise.all(
        Array.from({ length: 300 }, () => limiter.consume(key('s'), limit)),
      );
      assert.equal(allowedOf(decisions), 5);
      await Promise.all(decisions.map((decision) => decision.release()));
    },
  ),
  ...each(EACH_ALGORITHM, 'a denied call writes nothing', async (limit, subject, { key, another }) => {
    await times(5, () => subject.limiter.consume(key('s'), limit));
    const before = await storedFor(subject, key('s'), [limit]);
    assert.equal(before.length, 1);
    // Another process, which remembers no denial.
    const { limiter } = await another();
    const denied = await times(5, () => limiter.consume(key('s'), limit));
    assert.equal(allowedOf(denied), 0);
    assert.deepEqual(await storedFor(subject, key('s'), [limit]), before);
  }),
  ...each(EACH_ALGORITHM, 'a look writes nothing and takes nothing', async (limit, subject, { key }) => {
    const { limiter } = subject;
    const looks = await times(3, () =>
      limiter.peek(key('s'), limit, { cost: limit.algorithm === 'concurrency' ? 1 : 5 }),
    );
    assert.equal(allowedOf(looks), 3);
    assert.deepEqual(await storedFor(subject, key('s'), [limit]), []);
    await times(5, () => limiter.consume(key('s'), limit));
    assert.equal((await limiter.peek(key('s'), limit)).allowed, false);
  }),
  ...each(EACH_ALGORITHM, 'every key has an expiry', async (limit, subject, { key }) => {
    const its: Limit = { ...limit, penalty: '10m' };
    await times(7, () => subject.limiter.consume(key('s'), its));
    const stored = await storedFor(subject, key('s'), [its]);
    assert.equal(stored.length, 2);
    for (const { key: name, expiresAt } of stored) assert.ok(expiresAt > 0, `${name} never expires`);
  }),
  ...each(COUNTING, 'a cost is taken as a whole or not at all', async (limit, { limiter }, { key }) => {
    const first = await limiter.consume(key('s'), limit, { cost: 3 });
    const second = await limiter.consume(key('s'), limit, { cost: 3 });
    const third = await limiter.consume(key('s'), limit, { cost: 2 });
    assert.deepEqual(
      [first, second, third].map(({ allowed, limits: [state] }) => [allowed, state?.remaining]),
      [
        [true, 2],
        [false, 2],
        [true, 0],
      ],
    );
  }),
  ...each(
    COUNTING,
    'what is given back can be taken again, and no more than was there',
    async (limit, subject, { key }) => {
      const { limiter } = subject;
      assert.deepEqual(await limiter.refund(key('s'), limit), [5]);
      assert.deepEqual(await storedFor(subject, key('s'), [limit]), [], 'a refund made a key');
      await times(5, () => limiter.consume(key('s'), limit));
      assert.equal((await limiter.consume(key('s'), limit)).allowed, false);
      assert.deepEqual(await limiter.refund(key('s'), limit, { cost: 2 }), [2]);
      assert.equal(allowedOf(await times(3, () => limiter.consume(key('s'), limit))), 2);
      assert.deepEqual(await limiter.refund(key('s'), limit, { cost: 1_000 }), [5]);
      for (const { expiresAt } of await storedFor(subject, key('s'), [limit])) assert.ok(expiresAt > 0);
    },
  ),
  ...each(
    COUNTING,
    'after a reset everything is as at first, a penalty included',
    async (limit, subject, { key }) => {
      const its: Limit = { ...limit, penalty: '10m' };
      await times(6, () => subject.limiter.consume(key('s'), its));
      await subject.limiter.reset(key('s'), its);
      assert.deepEqual(await storedFor(subject, key('s'), [its]), []);
      assert.equal(allowedOf(await times(6, () => subject.limiter.consume(key('s'), its))), 5);
    },
  ),
  ...each(
    EACH_ALGORITHM,
    'a shadow denies nobody and says whom it would have',
    async (limit, { limiter }, { key }) => {
      const decisions = await times(7, () => limiter.consume(key('s'), { ...limit, shadow: true }));
      assert.equal(allowedOf(decisions), 7);
      assert.deepEqual(
        decisions.map(({ limits: [state] }) => state?.shadowDenied),
        [false, false, false, false, false, true, true],
      );
    },
  ),
  ...each(
    EACH_ALGORITHM,
    'who is denied stays denied for the penalty',
    async (limit, { limiter }, { key, another }) => {
      const its: Limit = { ...limit, penalty: '10m' };
      const taken = await times(5, () => limiter.consume(key('s'), its));
      const first = await limiter.consume(key('s'), its);
      assert.ok(first.retryAfterMs >= 600_000);
      await Promise.all(taken.map((decision) => decision.release()));
      if (limit.algorithm !== 'concurrency') await limiter.refund(key('s'), its, { cost: 5 });
      const { limiter: other } = await another();
      const later = await other.consume(key('s'), its);
      assert.equal(later.allowed, false);
      assert.equal(later.limits[0]?.penalized, true);
      assert.ok(later.retryAfterMs <= 600_000 && later.retryAfterMs > 590_000, 'the penalty was begun anew');
    },
  ),
  ...each(EACH_ALGORITHM, 'a foreign value under its key counts as none', async (limit, subject, { key }) => {
    const { limiter, client } = subject;
    const values = [
      (name: string) => client.command('SET', [name, 'nonsense']),
      (name: string) => client.command('SET', [name, '99999999999999999999999']),
      (name: string) => client.command('RPUSH', [name, 'x']),
    ];
    for (const [i, write] of values.entries()) {
      const name = key(`s${i}`);
      await limiter.consume(name, limit);
      const [stored] = await storedFor(subject, name, [limit]);
      await client.command('DEL', [stored?.key ?? '']);
      await write(stored?.key ?? '');
      assert.equal(allowedOf(await times(6, () => limiter.consume(name, limit))), 5);
      for (const { expiresAt } of await storedFor(subject, name, [limit])) assert.ok(expiresAt > 0);
    }
  }),
  {
    name: 'gcra: after a rest a burst, and from then on one by one',
    async run({ limiter }, { key }) {
      const limit: Limit = { limit: 1_000, window: '1000d', burst: 3 };
      const decisions = await times(4, () => limiter.consume(key('s'), limit));
      assert.equal(allowedOf(decisions), 3);
      const dayMs = 86_400_000;
      const { retryAfterMs = 0 } = decisions.at(-1) ?? {};
      assert.ok(retryAfterMs <= dayMs && retryAfterMs > dayMs - 60_000);
    },
  },
  {
    name: 'gcra: a limit may change while it counts',
    async run({ limiter }, { key }) {
      await times(5, () => limiter.consume(key('s'), { limit: 10, window: '1000d' }));
      const more = await limiter.peek(key('s'), { limit: 100, window: '10000d' });
      const less = await limiter.peek(key('s'), { limit: 2, window: '200d' });
      assert.equal(more.limits[0]?.remaining, 95);
      assert.deepEqual([less.allowed, less.limits[0]?.remaining], [false, 0]);
    },
  },
  {
    name: 'concurrency: a place that was given back is free, and is given back once',
    async run({ limiter }, { key }) {
      const limit: Limit = { algorithm: 'concurrency', limit: 2, hold: '10m' };
      const [a, b] = await times(2, () => limiter.consume(key('s'), limit));
      assert.equal((await limiter.consume(key('s'), limit)).allowed, false);
      await a?.release();
      await a?.release();
      const c = await limiter.consume(key('s'), limit);
      await a?.release();
      assert.equal((await limiter.consume(key('s'), limit)).allowed, false);
      await Promise.all([b?.release(), c.release()]);
      assert.equal((await limiter.peek(key('s'), limit)).limits[0]?.remaining, 2);
    },
  },
  {
    name: 'tokens taken ahead are within the limit',
    async run({ limiter }, { key, another }) {
      const limit: Limit = { limit: 200, window: '1000d', lease: 20 };
      const { limiter: other } = await another();
      const decisions = await Promise.all(
        Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? limiter : other).consume(key('s'), limit)),
      );
      const rest = await times(60, () => limiter.consume(key('s'), limit));
      const allowed = allowedOf(decisions) + allowedOf(rest);
      // What one process took and did not spend is not spent by the other.
      assert.ok(allowed <= 200 && allowed >= 160, `${allowed} of 200 were admitted`);
    },
  },
];
