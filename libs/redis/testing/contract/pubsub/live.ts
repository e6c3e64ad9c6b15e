/** The pubsub modes: channels, patterns, iterators, overflow. */
import assert from 'node:assert/strict';
import { eventually, reason, rejection } from '../expectations.js';
import { numbers, take, takeData, type PubSubCase } from './subject.js';

export const live: readonly PubSubCase[] = [
  {
    name: 'who listens hears it, in order, with origin and time, whatever the value is',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channel = tools.key('orders');
      const stream = other.subscribe(channel);
      await stream.start();
      const before = Date.now();
      const values = [{ id: 1, at: new Date(0) }, null, 0, '', ['متن', 2n], new Map([['a', 1]])];
      for (const value of values) {
        const { id, receivers } = await subject.pubsub.publish(channel, value);
        assert.equal(id, undefined);
        assert.equal(typeof receivers, 'number');
      }
      const messages = await take(stream, values.length);
      assert.deepEqual(
        messages.map(({ data }) => data),
        values,
      );
      const [first] = messages;
      assert.ok(first !== undefined && first.at >= before - 1 && first.at <= Date.now());
      assert.deepEqual(
        { channel: first.channel, origin: first.origin, own: first.own },
        { channel, origin: subject.pubsub.origin, own: false },
      );
      await stream.return();
    },
  },
  {
    name: 'for await listens from its first turn on, and leaving it unsubscribes',
    async run({ pubsub }, { key }) {
      const channel = key('loop');
      const heard: unknown[] = [];
      const stream = pubsub.subscribe(channel);
      assert.equal(pubsub.stats().listeners, 1);
      const listening = (async () => {
        for await (const { data } of stream) {
          heard.push(data);
          if (heard.length === 3) break;
        }
      })();
      await stream.start();
      for (const i of numbers(1, 5)) await pubsub.publish(channel, i);
      await listening;
      assert.deepEqual(heard, [1, 2, 3]);
      assert.equal(pubsub.stats().listeners, 0);
      assert.deepEqual(await stream.next(), { done: true, value: undefined });
      const { receivers } = await pubsub.publish(channel, 6);
      assert.equal(receivers, 0);
    },
  },
  {
    name: 'a signal ends the listening, also while it waits',
    async run({ pubsub }, { key }) {
      const controller = new AbortController();
      const stream = pubsub.subscribe(key('signal'), { signal: controller.signal });
      const next = stream.next();
      await stream.start();
      controller.abort();
      assert.deepEqual(await next, { done: true, value: undefined });
      const early = pubsub.subscribe(key('signal'), { signal: AbortSignal.abort() });
      assert.deepEqual(await early.next(), { done: true, value: undefined });
      assert.equal(pubsub.stats().listeners, 0);
    },
  },
  {
    name: 'a pattern hears what it matches, under the names it was published with',
    async run(subject, { key }) {
      const { pubsub } = subject;
      const stream = pubsub.subscribe(key('news.*'), { pattern: true });
      await stream.start();
      await pubsub.publish(key('news.art'), 1);
      await pubsub.publish(key('weather'), 2);
      await pubsub.publish(key('news.{a}:b%'), 3);
      // Between channels a cluster keeps no order.
      const heard = new Map((await take(stream, 2)).map(({ channel, data }) => [channel, data]));
      const expected = [
        [key('news.art'), 1],
        [key('news.{a}:b%'), 3],
      ] as const;
      assert.deepEqual(heard, new Map<string, unknown>(expected));
      await stream.return();
      for (const mode of ['stream', 'group', 'sharded'] as const) {
        assert.throws(() => pubsub.subscribe('a*', { pattern: true, mode }), {
          code: 'INVALID_PUBSUB_OPTIONS',
        });
      }
    },
  },
  {
    name: 'own messages are told from others, and left out when that is wanted',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channel = tools.key('echo');
      const all = subject.pubsub.subscribe(channel);
      const others = subject.pubsub.subscribe(channel, { ignoreOwn: true });
      await Promise.all([all.start(), others.start()]);
      await subject.pubsub.publish(channel, 'mine');
      await other.publish(channel, 'theirs');
      const heard = (await take(all, 2)).map(({ data, own }) => [data, own]);
      assert.deepEqual(
        heard.toSorted((a, b) => String(a).localeCompare(String(b))),
        [
          ['mine', true],
          ['theirs', false],
        ],
      );
      assert.deepEqual(await takeData(others, 1), ['theirs']);
      await Promise.all([all.return(), others.return()]);
    },
  },
  {
    name: 'a slow listener loses the oldest, or the newest, or is told; and it is counted',
    async run({ pubsub }, { key }) {
      const channel = key('slow');
      const oldest = pubsub.subscribe(channel, { buffer: 3 });
      const newest = pubsub.subscribe(channel, { buffer: 3, overflow: 'dropNewest' });
      const error = pubsub.subscribe(channel, { buffer: 3, overflow: 'error' });
      const bytes = pubsub.subscribe(channel, { bufferBytes: 4_000 });
      const watcher = pubsub.subscribe(channel);
      const streams = [oldest, newest, error, bytes, watcher];
      await Promise.all(streams.map((stream) => stream.start()));
      const droppedBefore = pubsub.stats().dropped;
      for (const i of numbers(1, 8)) await pubsub.publish(channel, { i, text: 'x'.repeat(1_000) });
      await take(watcher, 8);
      const seen = async (stream: typeof oldest, count: number): Promise<unknown[]> =>
        (await takeData(stream, count)).map((data): unknown => Reflect.get(Object(data) as object, 'i'));
      assert.deepEqual(await seen(oldest, 3), [6, 7, 8]);
      assert.deepEqual(await seen(newest, 3), [1, 2, 3]);
      assert.deepEqual(await seen(error, 3), [1, 2, 3]);
      await rejection(error.next(), 'PUBSUB_OVERFLOW');
      assert.deepEqual(await seen(bytes, 3), [6, 7, 8]);
      assert.deepEqual([oldest.dropped, newest.dropped, bytes.dropped], [5, 5, 5]);
      assert.ok(pubsub.stats().dropped - droppedBefore >= 16);
      await Promise.all(streams.map((stream) => stream.return()));
    },
  },
  {
    name: 'what is none of ours, or was meant for another channel, is left out and counted',
    async run(subject, { key }) {
      const { pubsub, client, namespace } = subject;
      const [a, b] = [key('a'), key('b')];
      const stream = pubsub.subscribe(b);
      await stream.start();
      const raw = (name: string): string => `${namespace}:v1:pubsub:${name}`;
      await client.command('PUBLISH', [raw(b), 'not an envelope']);
      const replayed: Buffer[] = [];
      const subscription = client.subscribe({
        channels: [raw(a)],
        onMessage: ({ payload }) => void replayed.push(payload),
      });
      await subscription.ready;
      await pubsub.publish(a, 'for a');
      await eventually('the message', () => replayed.length === 1);
      await client.command('PUBLISH', [raw(b), ...replayed]);
      await pubsub.publish(b, 'for b');
      assert.deepEqual(await takeData(stream, 1), ['for b']);
      assert.equal(stream.unreadable, 2);
      await Promise.all([stream.return(), subscription.close()]);
    },
  },
  {
    name: 'sharded: heard as in mode pubsub',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channels = numbers(1, 6).map((i) => tools.key(`shard-${i}`));
      const streams = channels.map((channel) => other.subscribe(channel, { mode: 'sharded' }));
      await Promise.all(streams.map((stream) => stream.start()));
      for (const channel of channels) await subject.pubsub.publish(channel, channel, { mode: 'sharded' });
      for (const [i, stream] of streams.entries()) assert.deepEqual(await takeData(stream, 1), [channels[i]]);
      await Promise.all(streams.map((stream) => stream.return()));
      // And again, after the last one has left.
      const again = other.subscribe(tools.key('shard-1'), { mode: 'sharded' });
      await again.start();
      await subject.pubsub.publish(tools.key('shard-1'), 'again', { mode: 'sharded' });
      assert.deepEqual(await takeData(again, 1), ['again']);
      await again.return();
    },
  },
  {
    name: 'an observable listens when it is subscribed to, and leaves with its subscriber',
    async run({ pubsub }, { key }) {
      const channel = key('observed');
      const heard: unknown[] = [];
      const observable = pubsub.observe(channel);
      assert.equal(pubsub.stats().listeners, 0);
      const subscription = observable.subscribe(({ data }) => heard.push(data));
      await eventually('a message', async () => {
        await pubsub.publish(channel, 'here');
        return heard.length > 0;
      });
      subscription.unsubscribe();
      assert.equal(pubsub.stats().listeners, 0);
    },
  },
  {
    name: 'closing the service ends its listeners and refuses new ones',
    async run(_, tools) {
      const { pubsub } = await tools.another();
      const stream = pubsub.subscribe(tools.key('closing'));
      const next = stream.next();
      await stream.start();
      await pubsub.disconnect();
      assert.deepEqual(await next, { done: true, value: undefined });
      await rejection(pubsub.publish('a', 1), 'PUBSUB_CLOSED');
      assert.equal(
        Reflect.get(Object(await reason(async () => pubsub.subscribe('a').next())), 'code'),
        'PUBSUB_CLOSED',
      );
    },
  },
];
