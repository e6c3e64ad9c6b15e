/** A process of the fleet: opens a cache, and does what the parent says. Loaded by child.mjs. */
import { createRedis, type Duration, type Redis } from '@anbar/nestjs-redis';
import { CacheService, NearCache, resolveL1 } from '@anbar/nestjs-redis/cache';
import { hunt } from './hunt.js';
import { mutated } from './mutations.js';
import type { Mutation, Order, StampedePlan, StampedeReport, Word } from './orders.js';

interface Opened {
  readonly redis: Redis;
  readonly cache: (mutation?: Mutation) => CacheService;
}

let opened: Opened | undefined;

function say(word: Word): void {
  if (process.connected) process.send?.(word);
}

async function open(order: Extract<Order, { kind: 'open' }>): Promise<Opened> {
  await opened?.redis.disconnect();
  const options = { ...order.options, namespace: 'hunt', timeout: '5s', connectTimeout: '10s' } as const;
  const redis = createRedis(options, {});
  await redis.connect();
  return {
    redis,
    cache: (mutation) => {
      const cache = mutation === undefined ? redis.cache : mutatedCache(redis, mutation);
      return cache.namespace(order.cacheName, { lease: order.lease as Duration });
    },
  };
}

/** Put together as `createRedis` does it, over a client that lies. */
function mutatedCache({ adapter, config }: Redis, mutation: Mutation): CacheService {
  const client = mutated(adapter.port, mutation);
  const l1 = resolveL1(config.l1);
  const near = l1 === false ? undefined : new NearCache({ client, l1 });
  return new CacheService({ client, namespace: config.namespace, tiers: near?.tiers });
}

async function stampede({ redis, cache: make }: Opened, plan: StampedePlan): Promise<StampedeReport> {
  const cache = make();
  await cache.get('connected');
  let calls = 0;
  const load = async (): Promise<string> => {
    calls += 1;
    if (plan.firstHangs && (await redis.adapter.set(`hung:${plan.key}`, true, { when: 'absent' }))) {
      say({ kind: 'loading' });
      await new Promise(() => undefined);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, plan.loadMs);
    });
    if (plan.fails) throw Object.assign(new TypeError('the origin is down'), { code: 'E_ORIGIN' });
    return 'loaded';
  };
  const startedAt = performance.now();
  const outcomes = await Promise.allSettled(
    Array.from({ length: plan.callers }, () => cache.getOrSet(plan.key, load)),
  );
  return {
    calls,
    answers: outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])),
    errors: outcomes.flatMap((each) => (each.status === 'rejected' ? [described(each.reason)] : [])),
    tookMs: performance.now() - startedAt,
  };
}

function described(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return [reason.name, reason.message, Reflect.get(reason, 'code')].join('|');
}

async function obey(order: Order): Promise<void> {
  if (order.kind === 'open') {
    opened = await open(order);
    say({ kind: 'ready' });
    return;
  }
  if (opened === undefined) throw new Error('nothing is open');
  const { redis, cache } = opened;
  if (order.kind === 'hunt') {
    const report = await hunt({ cache: cache(order.plan.mutation), origin: redis.adapter, plan: order.plan });
    say({ kind: 'hunted', report });
  } else if (order.kind === 'stampede') {
    say({ kind: 'stampeded', report: await stampede(opened, order.plan) });
  } else {
    await redis.disconnect();
    await settled();
    say({ kind: 'left', holding: process.getActiveResourcesInfo() });
    process.off('disconnect', end);
    process.disconnect();
  }
}

/** Sockets are gone one turn after they were closed. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function end(): never {
  process.exit();
}

export function runChild(): void {
  process.on('message', (order) => void obey(order as Order));
  process.on('disconnect', end);
  say({ kind: 'ready' });
}
