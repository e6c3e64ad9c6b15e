/** `@OnMessage` in an application of Nest. */
import { getEventListeners } from 'node:events';
import { Injectable, Scope } from '@nestjs/common';
import { expect, it } from 'vitest';
import { OnMessage, PubSub, RedisModule, type Message } from '@anbar/nestjs-redis';
import { until } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';

const embedded = () => RedisModule.forRoot({ topology: 'embedded' });

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

@Injectable()
class Listener {
  readonly heard: string[] = [];
  readonly done: string[] = [];
  inside = 0;
  most = 0;

  @OnMessage('news.*')
  onNews({ channel, data }: Message): void {
    this.heard.push(`${channel}: ${String(data)}`);
  }

  @OnMessage('faulty')
  onFaulty({ data }: Message): void {
    if (data === 'bad') throw new Error('no good');
    this.heard.push(`faulty: ${String(data)}`);
  }

  @OnMessage('work', { mode: 'group', group: 'workers', concurrency: 3, redeliverAfter: '150ms' })
  async onWork({ data, deliveries }: Message): Promise<void> {
    this.inside += 1;
    this.most = Math.max(this.most, this.inside);
    await pause(20);
    this.inside -= 1;
    if (data === 'twice' && deliveries === 1) throw new Error('not yet');
    this.done.push(String(data));
  }
}

it('calls handlers with what they listen to; one that fails harms nobody', async () => {
  const { app, log } = await boot({ imports: [embedded()], providers: [Listener] });
  const [pubsub, listener] = [app.get(PubSub), app.get(Listener)];
  await pubsub.publish('news.art', 'a');
  await pubsub.publish('faulty', 'bad');
  await pubsub.publish('faulty', 'good');
  await until(() => listener.heard.length === 2, { what: 'the messages' });
  expect(listener.heard.toSorted()).toEqual(['faulty: good', 'news.art: a']);
  expect(log.some((line) => line.includes('Listener.onFaulty: no good'))).toBe(true);
});

it('calls a handler once per message, also of a provider that has two tokens', async () => {
  const providers = [Listener, { provide: 'NEWS', useExisting: Listener }];
  const { app } = await boot({ imports: [embedded()], providers });
  const [pubsub, listener] = [app.get(PubSub), app.get(Listener)];
  await pubsub.publish('news.art', 'a');
  await pubsub.publish('faulty', 'good');
  await until(() => listener.heard.length >= 2, { what: 'the messages' });
  await pause(20);
  expect(listener.heard.toSorted()).toEqual(['faulty: good', 'news.art: a']);
});

it('handles so many at once, and again what failed', async () => {
  const { app } = await boot({ imports: [embedded()], providers: [Listener] });
  const [pubsub, listener] = [app.get(PubSub), app.get(Listener)];
  const jobs = ['twice', ...Array.from({ length: 9 }, (_, i) => `job ${i}`)];
  for (const job of jobs) await pubsub.publish('work', job, { mode: 'group' });
  await until(() => listener.done.length === jobs.length, { what: 'the work' });
  expect(listener.done.toSorted()).toEqual(jobs.toSorted());
  expect(listener.done.at(-1)).toBe('twice');
  expect(listener.most).toBe(3);
});

it('finishes what is being handled before the connections are closed', async () => {
  const { app } = await boot({ imports: [embedded()], providers: [Listener] });
  const [pubsub, listener] = [app.get(PubSub), app.get(Listener)];
  for (const job of ['a', 'b', 'c', 'd', 'e']) await pubsub.publish('work', job, { mode: 'group' });
  await until(() => listener.inside === 3, { what: 'the first ones' });
  await app.close();
  expect(listener.inside).toBe(0);
  expect(listener.done.toSorted()).toEqual(['a', 'b', 'c']);
  await expect(pubsub.publish('news.art', 1)).rejects.toMatchObject({ code: 'PUBSUB_CLOSED' });
});

it('a listener that has ended is not kept by a signal that goes on', async () => {
  const { app } = await boot({ imports: [embedded()] });
  const pubsub = app.get(PubSub);
  const { signal } = new AbortController();
  for (let i = 0; i < 20; i += 1) {
    const stream = pubsub.subscribe('news', { signal });
    await stream.start();
    await stream.return();
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

it('refuses a place that no stream can have, as a browser may send it', async () => {
  const { app } = await boot({ imports: [embedded()] });
  const at = (from: string) => () => app.get(PubSub).subscribe('news', { mode: 'stream', from });
  expect(at('18446744073709551615-18446744073709551615')).not.toThrow();
  for (const from of ['18446744073709551616-0', '0-99999999999999999999']) {
    expect(at(from), from).toThrow(/is no place in a stream/u);
  }
});

it('refuses handlers on what is made per request', async () => {
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    @OnMessage('news')
    onNews(): void {
      expect.unreachable('it was called');
    }
  }
  const error = await bootFailure({ imports: [embedded()], providers: [PerRequest] });
  expect(error).toMatchObject({ code: 'INVALID_PUBSUB_OPTIONS' });
});
