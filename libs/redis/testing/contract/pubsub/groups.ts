/** Mode group: each message is handled by one of the group, at least once. */
import assert from 'node:assert/strict';
import { eventually } from '../expectations.js';
import {
  forgetful,
  mortal,
  numbers,
  pause,
  take,
  takeData,
  type PubSubCase,
  type PubSubSubject,
} from './subject.js';

const GROUP = { mode: 'group', group: 'billing' } as const;

function streamOf({ namespace }: PubSubSubject, channel: string): string {
  return `${namespace}:v1:stream:{${channel}}`;
}

async function owed(subject: PubSubSubject, channel: string): Promise<number> {
  const reply = await subject.client.command<readonly [number]>('XPENDING', [
    streamOf(subject, channel),
    GROUP.group,
  ]);
  return reply[0];
}

export const groups: readonly PubSubCase[] = [
  {
    name: 'group: each message goes to one member, and all groups get all of them',
    async run(subject, tools) {
      const members = [subject.pubsub, (await tools.another()).pubsub];
      const channel = tools.key('shared');
      const total = 120;
      const heard = new Map<string, number[]>();
      const controller = new AbortController();
      const working = members.flatMap((pubsub, i) =>
        ['billing', 'mail'].map(async (group) => {
          const options = { mode: 'group', group, signal: controller.signal } as const;
          for await (const { data } of pubsub.subscribe(channel, options)) {
            heard.set(`${group}${i}`, [...(heard.get(`${group}${i}`) ?? []), Number(data)]);
            await pause(1);
          }
        }),
      );
      for (const i of numbers(1, total)) await subject.pubsub.publish(channel, i, GROUP);
      const of = (group: string): number[] =>
        [...(heard.get(`${group}0`) ?? []), ...(heard.get(`${group}1`) ?? [])].toSorted((a, b) => a - b);
      await eventually('all messages', () => of('billing').length >= total && of('mail').length >= total);
      assert.deepEqual(of('billing'), numbers(1, total));
      assert.deepEqual(of('mail'), numbers(1, total));
      controller.abort();
      await Promise.all(working);
    },
  },
  {
    name: 'group: a message is owed until the next one is asked for, or it is acknowledged',
    async run(subject, { key }) {
      const { pubsub } = subject;
      const channel = key('owed');
      for (const i of numbers(1, 3)) await pubsub.publish(channel, i, GROUP);
      const stream = pubsub.subscribe(channel, GROUP);
      const [first] = await take(stream, 1);
      assert.equal(first?.data, 1);
      await take(stream, 1);
      await eventually('the first to be acknowledged', async () => (await owed(subject, channel)) === 2);
      const [third] = await take(stream, 1);
      await third?.ack();
      await eventually('the rest to be acknowledged', async () => (await owed(subject, channel)) === 0);
      await stream.return();
    },
  },
  {
    name: 'group: what a member leaves undone is handed to the next at once',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channel = tools.key('left');
      for (const i of numbers(1, 4)) await subject.pubsub.publish(channel, i, GROUP);
      const options = { ...GROUP, redeliverAfter: '20s' } as const;
      for await (const { data } of subject.pubsub.subscribe(channel, options)) {
        if (data === 2) break;
      }
      const stream = other.subscribe(channel, options);
      const messages = await take(stream, 3);
      assert.deepEqual(
        messages
          .map(({ data, deliveries }) => [Number(data), deliveries] as const)
          .toSorted(([a], [b]) => a - b),
        // What was fetched and not begun does not count.
        [
          [2, 2],
          [3, 1],
          [4, 1],
        ],
      );
      await stream.return();
    },
  },
  {
    name: 'group: what a dead member owes is handed out again, and work that takes long is not',
    async run(subject, tools) {
      const { client, pubsub } = subject;
      const other = (await tools.another()).pubsub;
      const channel = tools.key('dead');
      const options = { ...GROUP, redeliverAfter: '300ms' } as const;
      await pubsub.publish(channel, 'long', GROUP);
      await pubsub.publish(channel, 'dead', GROUP);
      const long = pubsub.subscribe(channel, options);
      await long.start();
      // A member that takes one and is never heard of again.
      const name = streamOf(subject, channel);
      await client.command('XREADGROUP', ['GROUP', GROUP.group, 'gone', 'COUNT', 1, 'STREAMS', name, '>']);
      const [mine] = await take(long, 1);
      assert.equal(mine?.data, 'dead');
      const stream = other.subscribe(channel, options);
      const [again] = await take(stream, 1);
      assert.deepEqual([again?.data, again?.deliveries], ['long', 2]);
      const next = stream.next();
      // Longer than the idle time: both are still worked on.
      await pause(800);
      await Promise.all([mine?.ack(), again?.ack()]);
      await pubsub.publish(channel, 'new', GROUP);
      const { value } = await next;
      assert.equal(value?.data, 'new');
      await Promise.all([long.return(), stream.return()]);
    },
  },
  {
    name: 'group: what is tried too often becomes a dead letter',
    async run(subject, tools) {
      const { pubsub, client, namespace } = subject;
      const channel = tools.key('poison');
      const options = { ...GROUP, redeliverAfter: '100ms', maxDeliveries: 3 } as const;
      await pubsub.publish(channel, 'poison', GROUP);
      let tries = 0;
      const dead = `${namespace}:v1:stream-dead:{${channel}}:billing`;
      while ((await client.command<number>('EXISTS', [dead])) === 0) {
        const controller = new AbortController();
        const stream = pubsub.subscribe(channel, { ...options, signal: controller.signal });
        const next = stream.next();
        const timer = setTimeout(() => controller.abort(), 400);
        const { done } = await next;
        clearTimeout(timer);
        if (done !== true) tries += 1;
        await stream.return();
      }
      assert.equal(tries, 3);
      const letters = await pubsub.deadLetters(channel, { group: 'billing' });
      assert.deepEqual(
        letters.map(({ data, deliveries }) => [data, deliveries]),
        [['poison', 3]],
      );
      assert.equal(await owed(subject, channel), 0);
      assert.ok((await client.command<number>('PTTL', [dead])) > 0);
    },
  },
  {
    name: 'group: what was fetched and never begun is not counted, however many members come and go',
    async run({ pubsub }, { key }) {
      const channel = key('one each');
      const all = numbers(1, 12);
      for (const i of all) await pubsub.publish(channel, i, GROUP);
      const handled: unknown[] = [];
      for (const _ of all) {
        const stream = pubsub.subscribe(channel, { ...GROUP, redeliverAfter: '20s' });
        const [message] = await take(stream, 1);
        handled.push([message?.data, message?.deliveries]);
        await message?.ack();
        await stream.return();
      }
      assert.deepEqual(
        handled,
        all.map((i) => [i, 1]),
      );
      assert.deepEqual(await pubsub.deadLetters(channel, { group: 'billing' }), []);
    },
  },
  {
    name: 'group: a message that kills its members does not take its neighbours with it',
    async run(subject, tools) {
      const { pubsub, client, namespace } = subject;
      for (const maxDeliveries of [1, 2, 5]) {
        const channel = tools.key(`killer-${maxDeliveries}`);
        const over = new AbortController();
        const options = { ...GROUP, redeliverAfter: '100ms', maxDeliveries, signal: over.signal } as const;
        for (const i of [1, 'killer', ...numbers(2, 11)]) await pubsub.publish(channel, i, GROUP);
        const handled = new Set<number>();
        const working = (async () => {
          while (!over.signal.aborted) {
            for await (const message of mortal(subject).subscribe(channel, options)) {
              if (message.data === 'killer') break;
              handled.add(Number(message.data));
              await message.ack();
            }
          }
        })();
        const dead = `${namespace}:v1:stream-dead:{${channel}}:billing`;
        await eventually(
          'all others, and the end of the killer',
          async () => handled.size === 11 && (await client.command<number>('EXISTS', [dead])) === 1,
        );
        over.abort();
        await working;
        const letters = await pubsub.deadLetters(channel, { group: 'billing' });
        assert.deepEqual(
          letters.map(({ data, deliveries }) => [data, deliveries]),
          [['killer', maxDeliveries]],
        );
      }
    },
  },
  {
    name: 'group: an answer that was lost brings back what was in it at once, and nothing that was released',
    async run(subject, tools) {
      const channel = tools.key('lost answer');
      const { pubsub, lose } = forgetful(subject);
      const stream = pubsub.subscribe(channel, { ...GROUP, redeliverAfter: '1500ms' });
      for (const i of numbers(1, 2)) await subject.pubsub.publish(channel, i, GROUP);
      const [first, second] = await take(stream, 2);
      await first?.ack();
      second?.release();
      const releasedAt = performance.now();
      lose();
      for (const i of numbers(3, 4)) await subject.pubsub.publish(channel, i, GROUP);
      const again = await take(stream, 3);
      assert.deepEqual(
        again.map(({ data, deliveries }) => [data, deliveries]),
        [
          [3, 1],
          [4, 1],
          [2, 2],
        ],
      );
      const after = performance.now() - releasedAt;
      assert.ok(after > 1_000, `again after ${after} ms`);
      await stream.return();
    },
  },
  {
    name: 'group: it goes on when the stream was deleted meanwhile',
    async run(subject, { key }) {
      const { pubsub, client } = subject;
      const channel = key('deleted');
      const stream = pubsub.subscribe(channel, GROUP);
      await stream.start();
      await pubsub.publish(channel, 1, GROUP);
      assert.deepEqual(await takeData(stream, 1), [1]);
      await client.command('UNLINK', [streamOf(subject, channel)]);
      // A stream that begins anew within a millisecond may give the same id again.
      await pause(5);
      await pubsub.publish(channel, 2, GROUP);
      assert.deepEqual(await takeData(stream, 1), [2]);
      await stream.return();
    },
  },
  {
    name: 'group: one that begins with what is new leaves out what was before it',
    async run(subject, { key }) {
      const { pubsub } = subject;
      const channel = key('new');
      await pubsub.publish(channel, 'before', GROUP);
      const stream = pubsub.subscribe(channel, { ...GROUP, from: 'new' });
      await stream.start();
      await pubsub.publish(channel, 'after', GROUP);
      assert.deepEqual(await takeData(stream, 1), ['after']);
      await stream.return();
    },
  },
];
