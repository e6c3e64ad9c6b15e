/** Redis dies, or stops to answer, while requests come in: every one of them is answered, and in time. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStandalone, until, type Standalone } from '../topology/index.js';
import type { Platform } from './orders.js';
import { startServers, type Answer, type Server } from './servers.js';

const WORKERS = 8;
const ROUTES = 24;
const HANDLER_MS = 20;
/** Of a call to Redis, by default. */
const DEADLINE_MS = 250;
/** By then the breaker is open and the outage is known. */
const KNOWN_AFTER_MS = 1_500;
const OUTAGE_MS = 3_000;

interface Shot extends Answer {
  readonly at: number;
  readonly plain: boolean;
}

class Load {
  readonly shots: Shot[] = [];
  readonly #server: Server;
  #stopped = false;
  readonly #workers: Promise<unknown>;

  constructor(server: Server) {
    this.#server = server;
    this.#workers = Promise.all(Array.from({ length: WORKERS }, (_, index) => this.#work(index)));
  }

  stop(): Promise<unknown> {
    this.#stopped = true;
    return this.#workers;
  }

  /** By turns a cached route and one that is not, so that both meet the machine in the same state. */
  async #work(index: number): Promise<void> {
    for (let i = index; !this.#stopped; i += 1) {
      const plain = i % 2 === 0;
      const at = performance.now();
      const answer = await this.#server.ask(`/${plain ? 'plain' : 'brief'}/${i % ROUTES}`);
      this.shots.push({ ...answer, at, plain });
    }
  }
}

function quantile(shots: readonly Shot[], share: number): number {
  const sorted = shots.map(({ tookMs }) => tookMs).toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

describe.each<Platform>(['express', 'fastify'])('on %s', (platform) => {
  let redis: Standalone;
  let servers: readonly Server[] = [];

  beforeAll(async () => {
    redis = await startStandalone();
    const options = { url: redis.url, namespace: `outage-${randomBytes(6).toString('hex')}` };
    servers = await startServers(1, { platform, options });
    await Promise.all(servers.map((server) => server.handler({ ends: 'answers', after: HANDLER_MS })));
  }, 60_000);

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.kill()));
    await redis.stop();
  });

  it.each([
    ['killed', () => redis.process.kill(), () => redis.process.restart('empty')],
    ['frozen', () => redis.process.freeze(), () => redis.process.thaw()],
  ] as const)(
    'Redis is %s under load: no request fails, one deadline is waited once, and answers are stored again after it',
    async (what, begin, end) => {
      const server = servers[0] as Server;
      const served = async (): Promise<boolean> => {
        await server.ask('/cached/always');
        return (await server.ask('/cached/always')).cache === 'HIT';
      };
      await until(served, { what: 'a hit', timeout: 30_000, every: 20 });
      const load = new Load(server);
      await until(() => load.shots.length > 200, { what: 'some answers', timeout: 30_000 });
      const begunAt = performance.now();
      await begin();
      await until(() => performance.now() > begunAt + OUTAGE_MS, { what: 'the outage to last', every: 50 });
      await load.stop();
      const during = load.shots.filter(({ at }) => at > begunAt - DEADLINE_MS);
      const cached = during.filter(({ plain }) => !plain);
      const plain = during.filter((shot) => shot.plain);
      const later = (shots: readonly Shot[]): Shot[] =>
        shots.filter(({ at }) => at > begunAt + KNOWN_AFTER_MS);
      const figures = {
        requests: during.length,
        failed: load.shots.filter(({ status }) => status !== 200).length,
        plainP99: quantile(plain, 0.99),
        cachedP99: quantile(cached, 0.99),
        laterPlainP99: quantile(later(plain), 0.99),
        laterCachedP99: quantile(later(cached), 0.99),
        laterPlainMedian: quantile(later(plain), 0.5),
        laterCachedMedian: quantile(later(cached), 0.5),
      };
      const rounded = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(value)}`);
      console.log(`${platform}, ${what}: ${rounded.join(', ')}`);
      await end();
      expect(figures.failed).toBe(0);
      expect(later(cached).length).toBeGreaterThan(20);
      // Whatever the machine does to a handler without a cache it may do to one with a cache.
      expect(figures.cachedP99).toBeLessThan(2 * figures.plainP99 + DEADLINE_MS + 250);
      expect(figures.laterCachedMedian).toBeLessThan(2 * figures.laterPlainMedian + 25);
      expect(figures.laterCachedP99).toBeLessThan(2 * figures.laterPlainP99 + 100);
      await until(served, { what: 'a hit after the outage', timeout: 30_000, every: 20 });
    },
    120_000,
  );
});
