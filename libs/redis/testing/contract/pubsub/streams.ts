/** Mode stream: kept, in order, for everybody. */
import assert from 'node:assert/strict';
import type { Gap } from '../../../src/pubsub/index.js';
import { numbers, take, takeData, type PubSubCase } from './subject.js';

const STREAM = { mode: 'stream' } as const;

export const streams: readonly PubSubCase[] = [
  {
    name: 'stream: every listener gets every message from its place on, in order',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channel = tools.key('log');
      const ids: (string | undefined)[] = [];
      for (const i of numbers(1, 3)) ids.push((await subject.pubsub.publish(channel, i, STREAM)).id);
      assert.ok(ids.every((id) => /^\d+-\d+$/u.test(id ?? '')));
      const late = other.subscribe(channel, STREAM);
      const all = other.subscribe(channel, { ...STREAM, from: 'beginning' });
      const after = other.subscribe(channel, { ...STREAM, from: ids[1] ?? '' });
      await Promise.all([late.start(), all.start(), after.start()]);
      for (const i of numbers(4, 250)) await subject.pubsub.publish(channel, i, STREAM);
      assert.deepEqual(await takeData(late, 247), numbers(4, 250));
      assert.deepEqual(await takeData(all, 250), numbers(1, 250));
      const messages = await take(after, 248);
      assert.deepEqual(
        messages.map(({ data }) => data),
        numbers(3, 250),
      );
      assert.equal(messages[0]?.id, ids[2]);
      assert.deepEqual([messages[0]?.deliveries, messages[0]?.channel], [1, channel]);
      await Promise.all([late.return(), all.return(), after.return()]);
    },
  },
  {
    name: 'stream: who waits is woken',
    async run(subject, tools) {
      const other = (await tools.another()).pubsub;
      const channel = tools.key('woken');
      const stream = other.subscribe(channel, STREAM);
      await stream.start();
      const waits: number[] = [];
      for (const i of numbers(1, 5)) {
        const next = stream.next();
        // Asked for while there is nothing.
        await new Promise((resolve) => setTimeout(resolve, 30));
        const startedAt = performance.now();
        await subject.pubsub.publish(channel, i, STREAM);
        await next;
        waits.push(performance.now() - startedAt);
      }
      const median = waits.toSorted((a, b) => a - b)[2] ?? Infinity;
      assert.ok(median < 300, `waited ${waits.join()} ms`);
      await stream.return();
    },
  },
  {
    name: 'stream: what was trimmed before it was read is told, with its number',
    async run(subject, { key }) {
      const { pubsub, client, namespace } = subject;
      const channel = key('trimmed');
      const gaps: Gap[] = [];
      const options = { ...STREAM, from: 'beginning', onGap: (gap: Gap) => void gaps.push(gap) } as const;
      const stream = pubsub.subscribe(channel, options);
      for (const i of numbers(1, 2)) await pubsub.publish(channel, i, STREAM);
      assert.deepEqual(await takeData(stream, 2), [1, 2]);
      for (const i of numbers(3, 9)) await pubsub.publish(channel, i, STREAM);
      const name = `${namespace}:v1:stream:{${channel}}`;
      assert.equal(await client.command('XTRIM', [name, 'MAXLEN', 3]), 6);
      assert.deepEqual(await takeData(stream, 3), [7, 8, 9]);
      assert.deepEqual(gaps, [{ channel, missed: 4 }]);
      await stream.return();
    },
  },
  {
    name: 'stream: it is bounded by its length, and nothing is kept for ever',
    async run(subject, { key }) {
      const { pubsub, client, namespace } = subject;
      const channel = key('bounded');
      for (const i of numbers(1, 400)) await pubsub.publish(channel, i, { ...STREAM, maxLength: 50 });
      const name = `${namespace}:v1:stream:{${channel}}`;
      const length = await client.command<number>('XLEN', [name]);
      assert.ok(length >= 50 && length <= 250, `it has ${length}`);
      const count = `${namespace}:v1:stream-count:{${channel}}`;
      for (const each of [name, count]) assert.ok((await client.command<number>('PTTL', [each])) > 0);
    },
  },
  {
    name: 'stream: a mode of a channel in the options holds for publisher and listener alike',
    async run(subject, tools) {
      const { pubsub } = subject;
      const channel = tools.key('configured');
      const { id } = await pubsub.publish(channel, 1, STREAM);
      assert.notEqual(id, undefined);
      assert.throws(() => pubsub.subscribe(channel, { mode: 'streams' as 'stream' }), {
        code: 'INVALID_PUBSUB_OPTIONS',
      });
      assert.throws(() => pubsub.subscribe(channel, { ...STREAM, from: 'yesterday' }), {
        code: 'INVALID_PUBSUB_OPTIONS',
      });
    },
  },
];
