/**
 * `FALLBACK_MODEL_SEED=7 FALLBACK_MODEL_SECONDS=120 npx vitest run test/faults-cache/fallback-model.spec.ts` hunts for
 * longer, or repeats a run.
 */
import { expect, it } from 'vitest';
import { seededRandom } from '../topology/index.js';
import { FallbackModel } from './fallback-model.js';
import { OUTAGES } from './fallback-outages.js';
import { DEADLINE_MS, FallbackStage } from './fallback-stage.js';

const SECONDS = Number(process.env['FALLBACK_MODEL_SECONDS'] ?? 3);
const SEED = Number(process.env['FALLBACK_MODEL_SEED'] ?? 20_261_121);

/** Every third ends about when the first calls give up: then answers come to some that others wait for no longer. */
function lengthOf(random: () => number): number {
  return random() < 1 / 3 ? DEADLINE_MS * (0.95 + random() * 0.15) : random() * 400;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it.each([
  ['with the near cache', {}],
  ['without it', { l1: false }],
  ['with a journal that overflows', { l1: false, fallback: { journal: 8 } }],
] as const)(
  '%s: no read is older than an invalidation that was acknowledged, and no increment counts twice',
  async (_what, options) => {
    const stage = await FallbackStage.open(options);
    const random = seededRandom(SEED);
    const model = new FallbackModel(stage.cache, { random: seededRandom(SEED + 1), workers: 12, keys: 12 });
    const seen: Record<string, number> = {};
    const modes: Record<string, number> = {};
    const stop = stage.cache.onStateChange(({ to }) => void (modes[to] = (modes[to] ?? 0) + 1));
    const end = performance.now() + SECONDS * 1_000;
    model.start();
    while (performance.now() < end) {
      await pause(20 + random() * 200);
      const outage = OUTAGES[Math.floor(random() * OUTAGES.length)];
      if (outage === undefined) throw new Error('there is no such outage');
      seen[outage.name] = (seen[outage.name] ?? 0) + 1;
      await outage.begin(stage);
      await pause(lengthOf(random));
      await outage.end(stage);
    }
    await model.stop();
    await stage.back();
    await model.readAll();
    const inRedis = Number((await model.countsInRedis(stage.others.namespace('counts'))) ?? 0);
    const { uncertainIncrements } = stage.cache.state;
    const { operations, hits, counted } = model;
    console.log({ seed: SEED, operations, hits, counted, inRedis, uncertainIncrements, modes, seen });
    stop();
    await stage.close();
    expect(model.stale).toEqual([]);
    expect(model.errors).toEqual([]);
    expect(hits).toBeGreaterThan(operations / 10);
    expect(modes['fallback']).toBeGreaterThan(0);
    expect(inRedis).toBeLessThanOrEqual(counted);
    if (!('fallback' in options)) expect(inRedis).toBeGreaterThanOrEqual(counted - uncertainIncrements);
  },
  60_000 + SECONDS * 1_000,
);
