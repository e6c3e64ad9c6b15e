import { describe, expect, it } from 'vitest';
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import { FakeClock } from '../../testing/index.js';
import { EmbeddedQueue } from './embedded-queue.js';
import { TaskPayload } from './task-payload.js';
import { resolveTasks } from './tasks.options.js';

function opened(clock: FakeClock): EmbeddedQueue {
  const settings = resolveTasks({ keepCompleted: 100_000 });
  return new EmbeddedQueue({
    settings,
    payload: new TaskPayload({ codec: undefined, namespace: 'app', queue: settings.queue }),
    clock,
  });
}

describe('a schedule', () => {
  it.each([{ cron: '* * * * *' }, { every: '1m' }] as const)(
    'of %j is due once, also when its timer is early by the wall clock',
    async (when) => {
      const clock = new FakeClock();
      const queue = opened(clock);
      await queue.schedule('clock', 'tick', when);
      for (let minute = 1; minute <= 3; minute += 1) {
        clock.jumpWall(-5);
        await clock.advanceAsync(60_000);
        expect(await queue.counts()).toMatchObject({ waiting: minute });
        await clock.advanceAsync(10);
        expect(await queue.counts()).toMatchObject({ waiting: minute });
      }
      await queue.close();
    },
  );
});

it('what is told of a task says when its result can not be stored', async () => {
  const events: TelemetryEvent[] = [];
  const stop = onTelemetry('tasks', (event) => events.push(event));
  const clock = new FakeClock();
  const queue = opened(clock);
  queue.work(new Map([['give', ({ data }) => (data === 'a function' ? () => 1 : 1)]]));
  await queue.add('give', 'a number');
  await queue.add('give', 'a function');
  await clock.advanceAsync(1);
  await queue.close();
  stop();
  expect(events.map(({ outcome, attributes }) => [outcome, attributes])).toEqual([
    ['ok', {}],
    ['ok', { result: 'it can not be stored' }],
  ]);
});
