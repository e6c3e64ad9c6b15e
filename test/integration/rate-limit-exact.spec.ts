/**
 * The figures of the limiter against a model in integers of any size: 108 pairs of limit and window, embedded (where
 * time jumps as the seed says) and on Redis (where it is the server's). `RATE_LIMIT_MODEL_STEPS=1000000` runs a
 * million steps of each.
 */
import assert from 'node:assert/strict';
import { beforeAll, afterAll, describe, expect, it } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { createClient, resolveConnection, type RedisClient } from '@anbar/nestjs-redis/connection';
import {
  gcraScript,
  gcraState,
  isPlain,
  RateLimitKeys,
  resolveLimit,
  takeScript,
  type Limit,
  type ResolvedLimit,
  type TakeItem,
} from '@anbar/nestjs-redis/rate-limit';
import { createRandom, FakeClock, type Random } from '@anbar/nestjs-redis/testing';
import { shared } from '../topology/index.js';
import {
  BucketModel,
  RATE_PAIRS,
  TwoWindowModel,
  worstExcess,
  type Admission,
  type Model,
} from './rate-limit-model.js';

const STEPS = Number(process.env['RATE_LIMIT_MODEL_STEPS'] ?? 10_000);
const SEED = Number(process.env['RATE_LIMIT_SEED'] ?? 20_261_121);
/** In one script call: what else would be a million round trips. */
const BATCH = 54;

interface Subject {
  readonly key: string;
  readonly terms: ResolvedLimit;
  readonly model: Model;
  readonly log: Admission[];
}

function bucketOf(limit: Limit, key: string): Subject {
  const terms = resolveLimit(limit);
  const model = new BucketModel(BigInt(terms.unit), BigInt(terms.capacity));
  return { key, terms, model, log: [] };
}

function twoWindowsOf(limit: Limit, key: string): Subject {
  const terms = resolveLimit(limit);
  const model = new TwoWindowModel(BigInt(terms.windowMs), BigInt(terms.limit));
  return { key, terms, model, log: [] };
}

const KEYS = new RateLimitKeys('app');

function subjectsOf(kind: 'gcra' | 'sliding-window', random: Random): readonly Subject[] {
  return RATE_PAIRS.map(({ limit, window }, i) => {
    const name = KEYS.subject(['model', SEED, i, random.integer(0, 2 ** 30)]);
    if (kind === 'sliding-window') {
      const rule: Limit = { limit, window, algorithm: kind };
      return twoWindowsOf(rule, KEYS.limit(name, { code: 's', name: 'default' }));
    }
    const burst = random.oneOf([undefined, undefined, 1, 2, Math.min(limit * 3, 2_000_000)]);
    return bucketOf({ limit, window, burst }, KEYS.limit(name, { code: 'g', name: 'default' }));
  });
}

/** One round over some subjects: each said by the script, and by its model for the moment the script saw. */
async function round(client: RedisClient, subjects: readonly Subject[], random: Random): Promise<void> {
  const items = subjects.map(({ terms }): TakeItem => {
    const cost = random.oneOf([1, 1, 1, 0, 2, 3, terms.capacity, Math.ceil(terms.capacity / 3)]);
    return { terms, cost: Math.min(cost, terms.capacity), want: 0, holder: '', last: true };
  });
  const keys = subjects.map(({ key }) => key);
  // Both scripts count the same keys: what one wrote, the other reads.
  const short = items.every(isPlain) && random.integer(0, 1) === 0;
  const { now, states } = await (short ? askShort : askLong)(client, keys, items);
  for (const [i, subject] of subjects.entries()) {
    const cost = items[i]?.cost ?? 0;
    const state = states[i];
    const wanted = subject.model.take(BigInt(now), BigInt(cost));
    assert.deepEqual(
      {
        allowed: state?.verdict === 'passed',
        remaining: state?.remaining,
        retryAfter: wanted.allowed ? 0 : state?.wait,
      },
      { allowed: wanted.allowed, remaining: Number(wanted.remaining), retryAfter: Number(wanted.retryAfter) },
      `seed ${SEED}: ${subject.terms.print} at ${now} for ${cost}`,
    );
    if (wanted.allowed && cost > 0) subject.log.push({ at: now, cost });
  }
}

async function askLong(client: RedisClient, keys: readonly string[], items: readonly TakeItem[]) {
  return client.run(takeScript, keys, { mode: 'consume', items }, { timeout: '10s' });
}

async function askShort(client: RedisClient, keys: readonly string[], items: readonly TakeItem[]) {
  const { now, resets } = await client.run(gcraScript, keys, { items }, { timeout: '10s' });
  return { now, states: items.map((item, i) => gcraState(item, resets[i] ?? 0)) };
}

/** Mostly moments in which little comes back, sometimes ages. */
function anyPause(random: Random): number {
  return (
    random.oneOf([0, 0.001, 0.05, 1, 7.013, 250, 1_000, 61_000, 3_600_000, 90_000_000]) * random.integer(1, 9)
  );
}

describe.each(['gcra', 'sliding-window'] as const)('%s', (kind) => {
  it(`embedded: every figure is that of the model, over jumps of time (${STEPS} steps, seed ${SEED})`, async () => {
    const random = createRandom(SEED);
    const clock = new FakeClock({ wallMs: 1_795_000_000_000 });
    const client = createClient(resolveConnection('model', { topology: 'embedded' }, []), { clock });
    const subjects = subjectsOf(kind, random);
    for (let step = 0; step < STEPS; step += BATCH) {
      if (random.integer(0, 2) > 0) clock.advance(anyPause(random));
      const half = random.oneOf([0, 1]) * BATCH;
      await round(client, subjects.slice(half, half + BATCH), random);
    }
    expectBound(kind, subjects);
    await client.disconnect();
  }, 600_000);

  describe('on a server', () => {
    let redis: Redis;
    beforeAll(async () => {
      redis = createRedis({ url: (await shared('standalone')).url }, {});
      await redis.connect();
    });
    afterAll(() => redis.disconnect());

    it(`every figure is that of the model (${STEPS} steps, seed ${SEED})`, async () => {
      const random = createRandom(SEED + 1);
      const subjects = subjectsOf(kind, random);
      for (let step = 0; step < STEPS; step += BATCH) {
        const half = random.oneOf([0, 1]) * BATCH;
        await round(redis.adapter.port, subjects.slice(half, half + BATCH), random);
      }
      expectBound(kind, subjects);
      await expectExpiries(redis.adapter.port, subjects);
    }, 600_000);
  });
});

function expectBound(kind: string, subjects: readonly Subject[]): void {
  if (kind !== 'gcra') return;
  for (const { terms, log } of subjects) {
    expect(worstExcess(log.slice(-1_500), terms.capacity, terms.unit)).toBeLessThanOrEqual(0);
  }
  expect(subjects.some(({ log }) => log.length > 20)).toBe(true);
}

async function expectExpiries(client: RedisClient, subjects: readonly Subject[]): Promise<void> {
  const left = await client.pipeline(subjects.map(({ key }) => ({ name: 'PTTL', args: [key] })));
  expect(left.filter((each) => each.ok && each.value === -1)).toEqual([]);
}
