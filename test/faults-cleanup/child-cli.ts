/** A process that runs the clean-up when it is told to. Loaded by child.mjs. */
import { createRedis } from '@anbar/nestjs-redis';
import type { RunOrder, Word } from './orders.js';

function say(word: Word): void {
  if (process.connected) process.send?.(word);
}

async function perform({ options, ifDue }: RunOrder): Promise<void> {
  const redis = createRedis(options, {});
  await redis.connect();
  const onProgress = (progress: Extract<Word, { kind: 'progress' }>['progress']): void =>
    say({ kind: 'progress', progress });
  const run = ifDue ? redis.cleanup.runIfDue({ onProgress }) : redis.cleanup.run({ onProgress });
  say({ kind: 'done', report: await run });
  await redis.disconnect();
}

export function runChild(): void {
  process.on('message', (order) => void perform(order as RunOrder));
  process.on('disconnect', () => process.exit());
  say({ kind: 'ready' });
}
