/** A process that asks as often as it can, with clocks that are wrong. Loaded by child.mjs. */
import { createRedis, RateLimiter } from '@anbar/nestjs-redis';
import { gcraScript, RateLimitKeys, resolveLimit } from '@anbar/nestjs-redis/rate-limit';
import { systemClock, type Clock } from '@anbar/nestjs-redis/core';
import { createRandom } from '@anbar/nestjs-redis/testing';
import type { Order, Word } from './orders.js';

/** Hours wrong, and another hour with every look; nothing here may matter to what is counted. */
function wrongClock(seed: number): Clock {
  const random = createRandom(seed);
  return { ...systemClock, wallNow: () => Date.now() + random.integer(-86_400_000, 86_400_000) };
}

async function ask(order: Order): Promise<Word> {
  const random = createRandom(order.seed);
  const redis = createRedis({ url: order.url, timeout: '5s' }, {});
  await redis.connect();
  const client = redis.adapter.port;
  const limiter = new RateLimiter(
    { client, namespace: 'app', clock: wrongClock(order.seed) },
    { denials: false },
  );
  const terms = resolveLimit(order.limit);
  const keys = new RateLimitKeys('app');
  const key = keys.limit(keys.subject(order.subject), terms);
  const times: number[] = [];
  let [allowed, denied] = [0, 0];
  const until = performance.now() + order.ms;
  const direct = order.limit.algorithm === undefined && order.limit.lease === undefined;
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      const cost = random.oneOf([1, 1, 2]);
      if (direct && random.integer(0, 1) === 0) {
        const items = [{ terms, cost, want: 0, holder: '', last: true }];
        const { now, resets } = await client.run(gcraScript, [key], { items });
        for (let i = 0; i < cost && (resets[0] ?? -1) >= 0; i += 1) times.push(now);
      } else if ((await limiter.consume(order.subject, order.limit, { cost })).allowed) allowed += cost;
      else denied += 1;
    }
  };
  await Promise.all(Array.from({ length: order.callers }, one));
  await limiter.close();
  await redis.disconnect();
  return { kind: 'done', allowed, denied, times };
}

export async function runChild(): Promise<void> {
  const say = (word: Word): void => void process.send?.(word);
  process.on('message', (order) => {
    void ask(order as Order).then(say);
  });
  process.on('disconnect', () => process.exit(0));
  say({ kind: 'ready' });
  await Promise.resolve();
}
