/** Several limits, and several subjects: all of them, or none. */
import assert from 'node:assert/strict';
import type { Limit } from '../../../src/rate-limit/index.js';
import { allowedOf, EACH_ALGORITHM, times, type RateLimitCase } from './subject.js';

const WIDE: Limit = { name: 'wide', limit: 100, window: '1000d' };
const NARROW: Limit = { name: 'narrow', limit: 2, window: '1000d' };

export const groups: readonly RateLimitCase[] = [
  {
    name: 'when one limit denies, none is charged',
    async run({ limiter }, { key }) {
      const decisions = await times(5, () => limiter.consume(key('s'), [WIDE, NARROW]));
      assert.equal(allowedOf(decisions), 2);
      const [wide, narrow] = decisions.at(-1)?.limits ?? [];
      assert.deepEqual(
        [wide?.passed, wide?.remaining, narrow?.passed, narrow?.remaining],
        [true, 98, false, 0],
      );
      assert.deepEqual(decisions.at(-1)?.violated, ['narrow']);
    },
  },
  {
    name: 'limits of different algorithms stand together',
    async run({ limiter }, { key }) {
      const decisions = await times(7, () => limiter.consume(key('s'), [...EACH_ALGORITHM, WIDE]));
      assert.equal(allowedOf(decisions), 5);
      assert.deepEqual(
        decisions.at(-1)?.limits.map(({ remaining }) => remaining),
        [0, 0, 0, 0, 95],
      );
    },
  },
  {
    name: 'a shadow among them changes nothing for the others',
    async run({ limiter }, { key }) {
      const shadow: Limit = { ...NARROW, name: 'shadow', limit: 1, shadow: true };
      const decisions = await times(4, () => limiter.consume(key('s'), [shadow, NARROW]));
      assert.equal(allowedOf(decisions), 2);
      assert.deepEqual(decisions.at(-1)?.violated, ['narrow']);
    },
  },
  {
    name: 'the longest wait of those that deny is the one to tell',
    async run({ limiter }, { key }) {
      const limits: Limit[] = [
        { name: 'short', limit: 1, window: '10d' },
        { name: 'long', limit: 1, window: '20d' },
        { name: 'free', limit: 10, window: '1000d' },
      ];
      const [, denied] = await times(2, () => limiter.consume(key('s'), limits));
      const dayMs = 86_400_000;
      assert.deepEqual(denied?.violated, ['short', 'long']);
      assert.ok((denied?.retryAfterMs ?? 0) > 19.9 * dayMs && (denied?.retryAfterMs ?? 0) <= 20 * dayMs);
    },
  },
  {
    name: 'when one subject denies, the others are not charged',
    async run({ limiter }, { key }) {
      const asks = ['a', 'b', 'c'].map((name, i) => ({
        subject: key(name),
        limits: i === 1 ? NARROW : WIDE,
      }));
      const decisions = await times(5, () => limiter.consumeAll(asks));
      assert.equal(allowedOf(decisions), 2);
      const left = await Promise.all([
        limiter.peek(key('a'), WIDE),
        limiter.peek(key('b'), NARROW),
        limiter.peek(key('c'), WIDE),
      ]);
      assert.deepEqual(
        left.map(({ limits: [state] }) => state?.remaining),
        [98, 0, 98],
      );
    },
  },
  {
    name: 'when one subject denies, places of the others are given back',
    async run({ limiter }, { key }) {
      const places: Limit = { algorithm: 'concurrency', limit: 1_000, hold: '10m' };
      const asks = [
        { subject: key('a'), limits: places },
        { subject: key('b'), limits: { ...NARROW, limit: 2_000 } },
        { subject: key('c'), limits: NARROW },
      ];
      const decisions = await times(4, () => limiter.consumeAll(asks));
      assert.equal(allowedOf(decisions), 2);
      assert.equal((await limiter.peek(key('a'), places)).limits[0]?.remaining, 998);
      await Promise.all(decisions.map((decision) => decision.release()));
      assert.equal((await limiter.peek(key('a'), places)).limits[0]?.remaining, 1_000);
    },
  },
  {
    name: 'when one subject denies, a shadow of another that was not charged gets nothing back',
    async run({ limiter }, { key }) {
      const shadow: Limit = { name: 'shadow', limit: 3, window: '1000d', shadow: true };
      await times(3, () => limiter.consume(key('a'), shadow));
      await times(5, () => limiter.consume(key('b'), { ...WIDE, limit: 5 }));
      const asks = [
        { subject: key('a'), limits: shadow },
        { subject: key('b'), limits: { ...WIDE, limit: 5 } },
      ];
      assert.equal(allowedOf(await times(3, () => limiter.consumeAll(asks))), 0);
      assert.equal((await limiter.peek(key('a'), shadow)).limits[0]?.remaining, 0);
    },
  },
  {
    name: 'limits are told in the order in which they were given, whatever subjects they are of',
    async run({ limiter }, { key }) {
      const asks = [
        { subject: key('a'), limits: { ...WIDE, name: 'first' } },
        { subject: key('b'), limits: NARROW },
        { subject: key('a'), limits: { ...WIDE, name: 'third', limit: 50 } },
      ];
      const { limits } = await limiter.consumeAll(asks);
      assert.deepEqual(
        limits.map(({ name, remaining }) => [name, remaining]),
        [
          ['first', 99],
          ['narrow', 1],
          ['third', 49],
        ],
      );
    },
  },
  {
    name: 'many subjects in one moment, each by itself',
    async run({ limiter }, { key }) {
      const asked = Array.from({ length: 600 }, (_, i) => limiter.consume(key(`s${i % 200}`), NARROW));
      assert.equal(allowedOf(await Promise.all(asked)), 400);
    },
  },
];
