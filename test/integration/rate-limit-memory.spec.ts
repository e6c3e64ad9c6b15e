/**
 * Subjects without an end, as somebody sends them who changes its name with every request. What the process keeps is
 * bounded, and what Redis keeps goes away by itself. RATE_LIMIT_SUBJECTS=1000000 asks for a million.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { createRedis, RateLimiter, type Limit } from '@anbar/nestjs-redis';
import { createChaosClient, createRandom } from '@anbar/nestjs-redis/testing';
import { CommandTimeoutError, createClient, resolveConnection } from '@anbar/nestjs-redis/connection';
import { admin, startStandalone, until } from '../topology/index.js';

const SUBJECTS = Number(process.env['RATE_LIMIT_SUBJECTS'] ?? 20_000);
const SEED = Number(process.env['RATE_LIMIT_SEED'] ?? 20_261_121);
const AT_ONCE = 200;
const MIB = 2 ** 20;
/** Several times what all bounds together come to, and a tenth of what a million subjects would take. */
const MOST_MIB = 96;
const TIMEOUT = 60_000 + SUBJECTS;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const report: string[] = [];
afterAll(() => console.log(report.join('\n')));

/** One of each kind that leaves something behind: counted, denied and remembered, taken ahead. */
const KINDS: readonly Limit[] = [
  { name: 'counted', limit: 100, window: '10s' },
  { name: 'denied', limit: 1, burst: 0, window: '10s' },
  { name: 'ahead', limit: 100, window: '10s', lease: 10 },
];

/** Keys that are there for a while, so that there is something to be counted. */
const LASTING: readonly Limit[] = KINDS.map((limit) =>
  limit.name === 'counted' ? { ...limit, limit: 2, window: '6s' } : limit,
);

async function heapMib(): Promise<number> {
  await new Promise(setImmediate);
  collectGarbage();
  return process.memoryUsage().heapUsed / MIB;
}

async function askForAll(limiter: RateLimiter, kinds: readonly Limit[]): Promise<void> {
  const random = createRandom(SEED);
  for (let i = 0; i < SUBJECTS; i += AT_ONCE) {
    const asked = Array.from({ length: AT_ONCE }, (_, k) => {
      const name = ['ip', `${random.integer(0, 2 ** 31)}.${i + k}`] as const;
      return limiter.consume(name, kinds[k % kinds.length] ?? { limit: 1 });
    });
    await Promise.all(asked);
  }
}

async function grownBy(what: string, limiter: RateLimiter, kinds = KINDS): Promise<number> {
  const before = await heapMib();
  const startedAt = performance.now();
  await askForAll(limiter, kinds);
  const seconds = (performance.now() - startedAt) / 1_000;
  const grown = (await heapMib()) - before;
  report.push(
    `${what}: ${SUBJECTS} subjects (seed ${SEED}) in ${seconds.toFixed(1)} s, heap grew by ${grown.toFixed(1)} MiB`,
  );
  return grown;
}

it(
  'on the embedded default the process stays as it was',
  async () => {
    const redis = createRedis({ topology: 'embedded', embedded: { maxEntries: 50_000 } }, {});
    onTestFinished(() => redis.disconnect());
    expect(await grownBy('embedded', redis.limiter)).toBeLessThan(MOST_MIB);
    expect(redis.limiter.stats()).toMatchObject({ denied: Math.floor(SUBJECTS / AT_ONCE) * 67 });
  },
  TIMEOUT,
);

it(
  'while Redis is away the process stays as it was',
  async () => {
    const inner = createClient(resolveConnection('inner', { topology: 'embedded' }, []), {});
    const client = createChaosClient(inner);
    client.fail(new CommandTimeoutError('by order of the test'));
    const limiter = new RateLimiter({ client, namespace: 'app' });
    onTestFinished(async () => {
      await limiter.close();
      await inner.disconnect();
    });
    expect(await grownBy('without Redis', limiter)).toBeLessThan(MOST_MIB);
    expect(limiter.stats().bySource.local).toBeGreaterThan(SUBJECTS / 2);
  },
  TIMEOUT,
);

it(
  'on Redis the process stays as it was, and every key goes away by itself',
  async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const redis = createRedis({ url: server.url, timeout: '10s' }, {});
    onTestFinished(() => redis.disconnect());
    await redis.connect();
    const bytes = async (): Promise<number> => Number((await server.process.info('memory'))['used_memory']);
    const before = await bytes();
    expect(await grownBy('Redis', redis.limiter, LASTING)).toBeLessThan(MOST_MIB);
    const keys = Number(await admin(server.port, 'DBSIZE'));
    report.push(
      `Redis: ${keys} keys, ${(((await bytes()) - before) / Math.max(1, keys)).toFixed(0)} bytes each`,
    );
    // Each is gone when it holds nothing any more, three seconds after the one question it was asked.
    await until(async () => Number(await admin(server.port, 'DBSIZE')) === 0, {
      what: 'the last key',
      timeout: 30_000,
    });
  },
  TIMEOUT,
);
