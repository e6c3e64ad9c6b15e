/**
 * The limiter on three masters: every script stays within one slot, and neither scripts that are forgotten, nor a
 * master that steps down, nor one that is killed is an error to anybody who asks meanwhile.
 */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createRedis, RateLimiter, type Limit, type RateDecision, type Redis } from '@anbar/nestjs-redis';
import { keySlot, type RedisClient } from '@anbar/nestjs-redis/connection';
import { startCluster, until, type ClusterTopology } from '../topology/index.js';

const CALLERS = 16;
const SUBJECTS = 120;
const PENALTY = '1s';

const EACH: readonly Limit[] = [
  { name: 'gcra', limit: 100, window: '1s' },
  { name: 'penalised', limit: 100, window: '1s', penalty: PENALTY },
  { name: 'sliding', limit: 100, window: '1s', algorithm: 'sliding-window', penalty: PENALTY },
  { name: 'fixed', limit: 100, window: '1s', algorithm: 'fixed-window' },
  { name: 'places', limit: 100, algorithm: 'concurrency', hold: '5s' },
  { name: 'shadow', limit: 1, window: '1s', shadow: true },
];
const LEASED: Limit = { name: 'leased', limit: 1_000, window: '1s', lease: 20 };

let cluster: ClusterTopology;
let redis: Redis;

beforeAll(async () => {
  cluster = await startCluster();
  redis = createRedis({ cluster: { nodes: cluster.nodes.slice(0, 2) }, timeout: '10s' }, {});
  await redis.connect();
}, 60_000);

afterAll(async () => {
  await redis.disconnect();
  await cluster.stop();
});

/** The client as it is, and the slots of the keys of every script that goes through it. */
function watched(client: RedisClient) {
  const runs: { readonly name: string; readonly slots: ReadonlySet<number> }[] = [];
  const seen = new Proxy(client, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name);
      if (name !== 'run' || typeof found !== 'function') {
        return typeof found === 'function' ? (found.bind(target) as unknown) : found;
      }
      return (...call: Parameters<RedisClient['run']>) => {
        runs.push({ name: call[0].name, slots: new Set(call[1].map(keySlot)) });
        return target.run(...call);
      };
    },
  });
  return { client: seen, runs };
}

it('every script has its keys in one slot, and all masters have their share', async () => {
  const { client, runs } = watched(redis.adapter.port);
  const limiter = new RateLimiter({ client, namespace: 'app' }, { denials: false });
  onTestFinished(() => limiter.close());
  const before = await scriptsOfMasters();
  const ask = async (i: number): Promise<void> => {
    const subject = ['user', `u${i}`];
    const decision = await limiter.consume(subject, EACH);
    await decision.release();
    await limiter.consume(subject, LEASED);
    await limiter.refund(subject, EACH);
    await limiter.peek(subject, EACH);
    await limiter.consumeAll([
      { subject, limits: EACH.slice(0, 2) },
      { subject: ['tenant', i % 7], limits: { ...LEASED, lease: 0 } },
    ]);
    await limiter.reset(subject, EACH);
  };
  await Promise.all(Array.from({ length: SUBJECTS }, (_, i) => ask(i)));

  expect(runs.filter(({ slots }) => slots.size !== 1)).toEqual([]);
  expect([...new Set(runs.map(({ name }) => name))].toSorted()).toEqual([
    'rate-limit.gcra',
    'rate-limit.refund',
    'rate-limit.release-places',
    'rate-limit.take',
  ]);
  const shares = (await scriptsOfMasters()).map((count, i) => count - (before[i] ?? 0));
  console.log(`${runs.length} scripts over ${shares.length} masters: ${shares.join(', ')}`);
  expect(shares).toHaveLength(3);
  for (const share of shares) expect(share).toBeGreaterThan(runs.length / 10);
  expect(limiter.stats()).toMatchObject({
    allowedWithoutStore: 0,
    bySource: { local: 0, closed: 0, open: 0 },
  });
});

async function scriptsOfMasters(): Promise<readonly number[]> {
  const masters = await cluster.masters();
  return Promise.all(
    masters.map(async (master) => {
      const stats = await master.info('commandstats');
      return ['cmdstat_evalsha', 'cmdstat_eval'].reduce(
        (sum, name) => sum + Number(/calls=(\d+)/u.exec(stats[name] ?? '')?.[1] ?? 0),
        0,
      );
    }),
  );
}

/** Callers who ask for one subject after the other, and what went wrong for them. */
function load(limiter: RateLimiter) {
  const errors: unknown[] = [];
  const running = new AbortController();
  let asked = 0;
  const counted = (decision: RateDecision): Promise<void> => {
    asked += 1;
    return decision.release();
  };
  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    for (let i = caller; !running.signal.aborted; i += 1) {
      const subject = ['user', i % SUBJECTS];
      const limits = i % 3 === 0 ? EACH : i % 3 === 1 ? LEASED : (EACH[0] ?? LEASED);
      await limiter.consume(subject, limits).then(counted, (error: unknown) => void errors.push(error));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  });
  const stop = async (): Promise<void> => {
    running.abort();
    await Promise.all(callers);
  };
  return { errors, stop, asked: () => asked };
}

it('scripts forgotten, a master that steps down and one that is killed, mid-load: no error to anybody', async () => {
  const limiter = new RateLimiter({ client: redis.adapter.port, namespace: 'load' });
  onTestFinished(() => limiter.close());
  const callers = load(limiter);
  const more = async (what: string): Promise<void> => {
    const before = callers.asked();
    await until(() => callers.asked() > before + 200, { what, timeout: 30_000 });
  };
  await more('load');

  for (let i = 0; i < 3; i += 1) {
    await Promise.all(cluster.nodes.map((node) => node.admin('SCRIPT', 'FLUSH')));
    await more('load without the scripts');
    const { source } = await limiter.consume(['fresh', i], LEASED);
    expect(source).toBe('store');
  }
  expect(callers.errors).toEqual([]);

  const [stepping] = await cluster.masters();
  const [heir] = stepping === undefined ? [] : await cluster.replicasOf(stepping);
  await heir?.admin('CLUSTER', 'FAILOVER');
  await until(async () => (await cluster.masters()).some(({ port }) => port === heir?.port), {
    what: 'the replica to take over',
    timeout: 30_000,
  });
  await more('load after a failover');

  const victim = (await cluster.masters()).find(({ port }) => port !== heir?.port);
  await victim?.kill();
  await more('load without a master');
  await cluster.settled(victim);
  await until(
    async () => {
      const all = await Promise.all(
        Array.from({ length: SUBJECTS }, (_, i) => limiter.consume(['user', i], EACH[0] ?? LEASED)),
      );
      return all.every(({ source }) => source === 'store' || source === 'denial');
    },
    { what: 'all slots to be counted in Redis again', timeout: 30_000 },
  );
  await callers.stop();
  const { allowedWithoutStore, bySource } = limiter.stats();
  console.log(
    `${callers.asked()} asked, ${bySource.local} decided without Redis, ${allowedWithoutStore} of them let through`,
  );
  expect(callers.errors).toEqual([]);
}, 180_000);
