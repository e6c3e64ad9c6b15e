/** Publish and subscribe. */
import assert from 'node:assert/strict';
import type { Message, RedisClient, Subscription } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { eventually } from '../expectations.js';

interface Listener {
  readonly seen: string[];
  readonly subscription: Subscription;
}

/** Notes what it hears as `channel: payload`, with the pattern in front where one matched. */
async function listen(
  client: RedisClient,
  where: { channels?: readonly string[]; patterns?: readonly string[] },
): Promise<Listener> {
  const seen: string[] = [];
  const onMessage = ({ channel, pattern, payload }: Message): void => {
    seen.push(`${pattern === undefined ? '' : `${pattern} `}${channel}: ${payload.toString()}`);
  };
  const subscription = client.subscribe({ ...where, onMessage });
  await subscription.ready;
  return { seen, subscription };
}

async function heard(listener: Listener, count: number): Promise<readonly string[]> {
  await eventually(`${count} messages`, () => listener.seen.length >= count);
  return listener.seen;
}

/** A marker that comes after all else shows that what has not come by then was not sent. */
async function marked(client: RedisClient, listener: Listener, channel: string): Promise<readonly string[]> {
  await client.command('PUBLISH', [channel, 'marker']);
  await eventually('the marker', () => listener.seen.some((message) => message.endsWith(': marker')));
  return listener.seen.filter((message) => !message.endsWith(': marker'));
}

export const messages: readonly ContractCase<RedisClient>[] = [
  {
    name: 'a listener hears its channels, each in its order, and no others',
    async run(client, { key }) {
      const [a, b, c] = [key('a'), key('b'), key('c')];
      const listener = await listen(client, { channels: [a, b] });
      for (let i = 0; i < 30; i += 1) await client.command('PUBLISH', [[a, b, c][i % 3] ?? a, i]);
      const all = await heard(listener, 20);
      // Between channels a cluster keeps no order.
      for (const [channel, first] of [
        [a, 0],
        [b, 1],
      ] as const) {
        const its = all.filter((message) => message.startsWith(channel));
        assert.deepEqual(
          its,
          Array.from({ length: 10 }, (_, i) => `${channel}: ${first + 3 * i}`),
        );
      }
      assert.equal(all.length, 20);
      await listener.subscription.close();
    },
  },
  {
    name: 'a pattern is told with what it matched',
    async run(client, { key }) {
      const listener = await listen(client, { patterns: [key('news.*')] });
      await client.command('PUBLISH', [key('news.art'), 'a']);
      await client.command('PUBLISH', [key('weather'), 'b']);
      await client.command('PUBLISH', [key('news.film'), 'c']);
      const pattern = key('news.*');
      assert.deepEqual((await heard(listener, 2)).toSorted(), [
        `${pattern} ${key('news.art')}: a`,
        `${pattern} ${key('news.film')}: c`,
      ]);
      await listener.subscription.close();
    },
  },
  {
    name: 'a payload is bytes, whatever it holds',
    async run(client, { key }) {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const seen: Buffer[] = [];
      const subscription = client.subscribe({
        channels: [key('bytes')],
        onMessage: ({ payload }) => void seen.push(payload),
      });
      await subscription.ready;
      await client.command('PUBLISH', [key('bytes'), bytes]);
      await eventually('the message', () => seen.length === 1);
      assert.deepEqual(seen, [bytes]);
      await subscription.close();
    },
  },
  {
    name: 'everybody on a channel hears it; who leaves hears nothing more, the others do',
    async run(client, { key }) {
      const channel = key('shared');
      const first = await listen(client, { channels: [channel] });
      const second = await listen(client, { channels: [channel] });
      await client.command('PUBLISH', [channel, '1']);
      await Promise.all([heard(first, 1), heard(second, 1)]);
      await first.subscription.close();
      await first.subscription.close();
      await client.command('PUBLISH', [channel, '2']);
      assert.deepEqual(await heard(second, 2), [`${channel}: 1`, `${channel}: 2`]);
      assert.deepEqual(first.seen, [`${channel}: 1`]);
      await second.subscription.close();
    },
  },
  {
    name: 'a listener may come late and may leave as the last, and another begin again',
    async run(client, { key }) {
      const early = await listen(client, { channels: [key('early')] });
      const late = await listen(client, { channels: [key('late')], patterns: [key('pat*')] });
      await client.command('PUBLISH', [key('late'), '1']);
      await client.command('PUBLISH', [key('pattern'), '2']);
      const all = (await heard(late, 2)).toSorted();
      assert.deepEqual(all, [`${key('late')}: 1`, `${key('pat*')} ${key('pattern')}: 2`]);
      assert.deepEqual(await marked(client, early, key('early')), []);
      await early.subscription.close();
      await late.subscription.close();
      const again = await listen(client, { channels: [key('late')] });
      await client.command('PUBLISH', [key('late'), '3']);
      // It may listen at another node of a cluster than the one before, where the first message arrives only now.
      await eventually('the message', () => again.seen.at(-1) === `${key('late')}: 3`);
      await again.subscription.close();
    },
  },
  {
    name: 'a listener that throws spoils nothing for the others',
    async run(client, { key }) {
      const broken = client.subscribe({
        channels: [key('c')],
        onMessage: () => {
          throw new Error('the handler is broken');
        },
      });
      await broken.ready;
      const sound = await listen(client, { channels: [key('c')] });
      await client.command('PUBLISH', [key('c'), '1']);
      await client.command('PUBLISH', [key('c'), '2']);
      assert.equal((await heard(sound, 2)).length, 2);
      await Promise.all([broken.close(), sound.subscription.close()]);
    },
  },
  {
    name: 'subscribing without a name is ready at once and hears nothing',
    async run(client) {
      const listener = await listen(client, { channels: [] });
      assert.deepEqual(listener.seen, []);
      await listener.subscription.close();
    },
  },
];
