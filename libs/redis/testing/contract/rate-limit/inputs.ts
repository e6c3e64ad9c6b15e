/** What can not be meant, what is meant badly, and what a server forgets. */
import assert from 'node:assert/strict';
import type { Limit } from '../../../src/rate-limit/index.js';
import { rejection } from '../expectations.js';
import { allowedOf, COUNTING, EACH_ALGORITHM, storedFor, times, type RateLimitCase } from './subject.js';

const LIMIT: Limit = { limit: 2, window: '1000d' };

export const inputs: readonly RateLimitCase[] = [
  ...COUNTING.map((limit): RateLimitCase => ({
    name: `${String(limit.algorithm)}: the limit 0 lets nothing through, for ever`,
    async run({ limiter }, { key }) {
      for (const cost of [0, 1, 5]) {
        const decision = await limiter.consume(key('s'), { ...limit, limit: 0 }, { cost });
        assert.deepEqual([decision.allowed, decision.retryAfterMs], [false, Infinity]);
      }
    },
  })),
  ...COUNTING.map((limit): RateLimitCase => ({
    name: `${String(limit.algorithm)}: more than there can ever be is denied, for ever`,
    async run(subject, { key }) {
      const decision = await subject.limiter.consume(key('s'), { ...limit, penalty: '1h' }, { cost: 6 });
      assert.deepEqual([decision.allowed, decision.retryAfterMs], [false, Infinity]);
      assert.equal(decision.limits[0]?.remaining, 5);
      assert.deepEqual(await storedFor(subject, key('s'), [limit]), []);
    },
  })),
  {
    name: 'the cost 0 passes, takes nothing and writes nothing',
    async run(subject, { key }) {
      for (const limit of EACH_ALGORITHM) {
        const decision = await subject.limiter.consume(key('s'), limit, { cost: 0 });
        assert.deepEqual([decision.allowed, decision.limits[0]?.remaining], [true, 5]);
      }
      const together = await subject.limiter.consume(key('s'), EACH_ALGORITHM, { cost: 0 });
      assert.equal(together.allowed, true);
      assert.deepEqual(await storedFor(subject, key('s'), EACH_ALGORITHM), []);
    },
  },
  {
    name: 'refuses what is no cost, no limit and no subject',
    async run({ limiter }, { key }) {
      for (const cost of [-1, 1.5, NaN, Infinity, 2 ** 53, '1' as unknown as number]) {
        await rejection(limiter.consume(key('s'), LIMIT, { cost }), 'INVALID_RATE_LIMIT');
        await rejection(limiter.peek(key('s'), LIMIT, { cost }), 'INVALID_RATE_LIMIT');
        await rejection(limiter.refund(key('s'), LIMIT, { cost }), 'INVALID_RATE_LIMIT');
      }
      for (const limit of [-1, 1.5, NaN, Infinity, 1e12, '10' as unknown as number]) {
        await rejection(limiter.consume(key('s'), { limit }), 'INVALID_RATE_LIMIT');
        await rejection(limiter.consume(key('s'), { limit: 1, burst: limit }), 'INVALID_RATE_LIMIT');
      }
      for (const window of [0, -1, NaN, 'soon' as '1s']) {
        await rejection(limiter.consume(key('s'), { limit: 1, window }), 'INVALID_DURATION');
      }
      const odd: Limit[] = [
        { limit: 1, name: 'two words' },
        { limit: 1, name: '' },
        { limit: 1, algorithm: 'leaky' as 'gcra' },
        { limit: 1, onStoreError: 'maybe' as 'open' },
        { limit: 1, algorithm: 'fixed-window', burst: 2 },
        { limit: 10, lease: 6 },
        { limit: 10, algorithm: 'fixed-window', lease: 2 },
        { limit: 2_000_000, window: '1s' },
        { limit: 1_000_000_000, window: '365d', algorithm: 'sliding-window' },
        { limit: 1, burst: 1_000_000, window: '1000d' },
        { limit: 1, algorithm: 'concurrency', hold: '1ms' },
      ];
      for (const limit of odd) await rejection(limiter.consume(key('s'), limit), 'INVALID_RATE_LIMIT');
      await rejection(limiter.consume(key('s'), []), 'INVALID_RATE_LIMIT');
      await rejection(limiter.consume(key('s'), [LIMIT, LIMIT]), 'INVALID_RATE_LIMIT');
      for (const subject of ['', [], ['user', undefined as unknown as string], ['user', NaN]]) {
        await rejection(limiter.consume(subject, LIMIT), 'INVALID_RATE_LIMIT');
      }
    },
  },
  {
    name: 'subjects can not be forged, and are not mistaken for each other',
    async run({ limiter }, { key }) {
      const subjects = [
        ['a', 'b'],
        ['a:b'],
        ['a', 'b', ''],
        ['a}{b'],
        ['a%7D%7Bb'],
        ['a', 'b}'],
        ['{a}', 'b'],
        ['a\nb'],
        ['ا', 'ب'],
        ['A', 'b'],
      ].map((segments) => [key('s'), ...segments]);
      for (const subject of subjects)
        assert.equal((await limiter.consume(subject, LIMIT)).limits[0]?.remaining, 1);
      assert.equal((await limiter.consume(`${key('s')}:a:b`.replaceAll(':', ':'), LIMIT)).allowed, true);
    },
  },
  {
    name: 'a subject of 10 KB is a short key, and not that of another',
    async run(subject, { key }) {
      const { limiter } = subject;
      const long = `${key('s')}${'x'.repeat(10_240)}`;
      assert.equal(allowedOf(await times(3, () => limiter.consume(long, LIMIT))), 2);
      assert.equal((await limiter.consume(`${long}y`, LIMIT)).allowed, true);
      const [stored] = await storedFor(subject, long, [LIMIT]);
      assert.ok((stored?.key.length ?? Infinity) < 200);
    },
  },
  {
    name: 'the scripts come back after the server has forgotten them',
    async run({ limiter }, { key, flushScripts }) {
      await limiter.consume(key('s'), LIMIT);
      await flushScripts();
      const both = await Promise.all([limiter.consume(key('s'), LIMIT), limiter.consume(key('t'), LIMIT)]);
      assert.equal(allowedOf(both), 2);
      await flushScripts();
      assert.deepEqual(await limiter.refund(key('s'), LIMIT), [1]);
    },
  },
];
