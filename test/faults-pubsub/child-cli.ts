/** A member that handles messages until one of them kills its process. Loaded by child.mjs. */
import { createRedis } from '@anbar/nestjs-redis';
import { GROUP, KILLER, type MemberPlan } from './orders.js';

async function work({ url, channel, maxDeliveries }: MemberPlan): Promise<void> {
  const redis = createRedis({ url, connectTimeout: '10s', timeout: '5s' }, {});
  await redis.connect();
  for await (const message of redis.pubsub.subscribe(channel, { ...GROUP, maxDeliveries })) {
    if (message.data === KILLER) process.kill(process.pid, 'SIGKILL');
    await message.ack();
    process.send?.(message.data);
  }
}

export function runChild(): void {
  process.on('message', (plan) => void work(plan as MemberPlan));
  process.on('disconnect', () => process.exit());
}
