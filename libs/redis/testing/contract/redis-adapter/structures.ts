/** Counters, hashes, scanning, messages and the ways past the adapter. */
import assert from 'node:assert/strict';
import { defineScript, escapeGlob, type RedisAdapter } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { collect, eventually, rejection, replyKind } from '../expectations.js';
import { assertExpiry } from './values.js';

const doubleScript = defineScript({
  name: 'contract.double',
  lua: `return redis.call('INCRBY', KEYS[1], redis.call('GET', KEYS[1]))`,
  args: () => [],
  decode: (reply) => Number(reply),
  twin: (keyspace, [key]: readonly [string]) =>
    keyspace.call('INCRBY', key, String(keyspace.call('GET', key))),
});

const counters: readonly ContractCase<RedisAdapter>[] = [
  {
    name: 'a counter begins at 0 and may go either way',
    async run(adapter, { key }) {
      assert.equal(await adapter.incr(key('n')), 1);
      assert.equal(await adapter.incr(key('n'), 41), 42);
      assert.equal(await adapter.incr(key('n'), -43), -1);
      assert.equal(await adapter.incr(key('n'), 0), -1);
      assert.equal(await adapter.get(key('n')), -1);
      assert.equal(await adapter.incr(key('never'), 5, { ttl: 'never' }), 5);
      assert.equal(await adapter.ttl(key('never')), 'never');
    },
  },
  {
    name: 'a new counter has its expiry from the start, and counting on does not renew it',
    async run(adapter, { key }) {
      await adapter.incr(key('default'));
      await assertExpiry(adapter, key('default'), 3_600);
      await adapter.incr(key('n'), 1, { ttl: '60s' });
      await adapter.incr(key('n'), 1, { ttl: '2h' });
      await assertExpiry(adapter, key('n'), 60);
      await adapter.incr(key('n'), 1, { ttl: 'never' });
      await assertExpiry(adapter, key('n'), 60);
    },
  },
  {
    name: 'a thousand increments at once are a thousand',
    async run(adapter, { key }) {
      const calls = Array.from({ length: 1_000 }, () => adapter.incr(key('n'), 1, { timeout: '5s' }));
      await Promise.all(calls);
      assert.equal(await adapter.get(key('n')), 1_000);
    },
  },
  {
    name: 'what is no whole number is neither counted nor an amount',
    async run(adapter, { key }) {
      await adapter.set(key('text'), 'abc');
      assert.equal(await replyKind(adapter.incr(key('text'))), 'ERR');
      assert.equal(await replyKind(adapter.incr(key('n'), 1.5)), 'ERR');
      assert.equal(await replyKind(adapter.incr(key('n'), NaN)), 'ERR');
      assert.equal(await adapter.exists(key('n')), false);
    },
  },
];

const hashes: readonly ContractCase<RedisAdapter>[] = [
  {
    name: 'fields of a hash are set one by one or together, and the new ones are counted',
    async run(adapter, { key }) {
      assert.equal(await adapter.hset(key('h'), 'a', 1), 1);
      assert.equal(await adapter.hset(key('h'), { a: 2, b: null, c: { deep: [0] }, d: undefined }), 2);
      assert.equal(await adapter.hset(key('h'), {}), 0);
      assert.equal(await adapter.hset(key('h'), 'e', undefined), 0);
      assert.equal(await adapter.hget(key('h'), 'a'), 2);
      assert.equal(await adapter.hget(key('h'), 'b'), null);
      assert.equal(await adapter.hget(key('h'), 'd'), undefined);
      assert.equal(await adapter.hget(key('none'), 'a'), undefined);
      const all = await adapter.hgetAll(key('h'));
      assert.deepEqual(
        all,
        new Map<string, unknown>([
          ['a', 2],
          ['b', null],
          ['c', { deep: [0] }],
        ]),
      );
      assert.deepEqual(await adapter.hgetAll(key('none')), new Map());
    },
  },
  {
    name: 'fields of a hash are deleted and counted; with the last one the key goes',
    async run(adapter, { key }) {
      await adapter.hset(key('h'), { a: 1, b: 2, c: 3 });
      assert.equal(await adapter.hdelete(key('h'), 'a'), 1);
      assert.equal(await adapter.hdelete(key('h'), ['a', 'b', 'c']), 2);
      assert.equal(await adapter.hdelete(key('h'), []), 0);
      assert.equal(await adapter.exists(key('h')), false);
    },
  },
  {
    name: 'a new hash has its expiry from the start, and setting more does not renew it',
    async run(adapter, { key }) {
      await adapter.hset(key('default'), 'a', 1);
      await assertExpiry(adapter, key('default'), 3_600);
      await adapter.hset(key('h'), 'a', 1, { ttl: '60s' });
      await adapter.hset(key('h'), { b: 2 }, { ttl: '2h' });
      await assertExpiry(adapter, key('h'), 60);
      await adapter.hset(key('never'), { a: 1 }, { ttl: 'never' });
      assert.equal(await adapter.ttl(key('never')), 'never');
    },
  },
  {
    name: 'a field named __proto__ is a field like any other',
    async run(adapter, { key }) {
      await adapter.hset(key('h'), '__proto__', { polluted: true });
      await adapter.hset(key('h'), 'constructor', 1);
      assert.deepEqual(await adapter.hget(key('h'), '__proto__'), { polluted: true });
      const all = await adapter.hgetAll(key('h'));
      assert.deepEqual([...all.keys()], ['__proto__', 'constructor']);
      assert.equal(Reflect.get({}, 'polluted'), undefined);
      assert.equal(await adapter.hdelete(key('h'), ['__proto__', 'constructor']), 2);
    },
  },
];

const around: readonly ContractCase<RedisAdapter>[] = [
  {
    name: 'a scan finds what the adapter wrote, on every node',
    async run(adapter, { key }) {
      const keys = Array.from({ length: 60 }, (_, i) => key(`scan:${i}`));
      await adapter.setMany(keys.map((each) => [each, 1]));
      const found = new Set(await collect(adapter.scan({ match: `${escapeGlob(key('scan:'))}*` })));
      assert.deepEqual([...found].toSorted(), keys.toSorted());
    },
  },
  {
    name: 'messages are values both ways, by name and by pattern',
    async run(adapter, { key }) {
      const seen: unknown[] = [];
      const byName = adapter.subscribe(key('c'), (message, channel) => void seen.push([channel, message]));
      const byPattern = adapter.subscribe([key('p*')], (message) => void seen.push(message), {
        patterns: true,
      });
      await Promise.all([byName.ready, byPattern.ready]);
      await adapter.publish(key('c'), { at: new Date(5), n: 1n });
      await eventually('the first message', () => seen.length === 1);
      await adapter.publish(key('pq'), null);
      await eventually('the second message', () => seen.length === 2);
      assert.deepEqual(seen, [[key('c'), { at: new Date(5), n: 1n }], null]);
      await Promise.all([byName.close(), byPattern.close()]);
    },
  },
  {
    name: 'a message that nobody can read is left out, and the next one is heard',
    async run(adapter, { key }) {
      const seen: unknown[] = [];
      const subscription = adapter.subscribe(key('c'), (message) => void seen.push(message));
      await subscription.ready;
      await adapter.command('PUBLISH', [key('c'), 'not { JSON']);
      await adapter.publish(key('c'), 'next');
      await eventually('the message', () => seen.length > 0);
      assert.deepEqual(seen, ['next']);
      await subscription.close();
    },
  },
  {
    name: 'ping tells the round trip, status the state, name the connection',
    async run(adapter) {
      const ms = await adapter.ping();
      assert.ok(ms >= 0 && ms < 5_000, `${ms} ms`);
      assert.equal(adapter.status().health, 'up');
      assert.equal(adapter.name, adapter.port.name);
    },
  },
  {
    name: 'commands and scripts without a method of their own go through as they are',
    async run(adapter, { key }) {
      assert.equal(await adapter.command('SADD', [key('s'), 'a', 'b']), 2);
      await adapter.set(key('n'), 21);
      assert.equal(await adapter.run(doubleScript, [key('n')], undefined), 42);
    },
  },
  {
    name: 'the driver below is handed out where there is one',
    async run(adapter, { key }) {
      if (adapter.port.topology === 'embedded') {
        await rejection(() => adapter.client(), 'COMMAND_REFUSED');
        return;
      }
      await adapter.set(key('k'), 'seen from both');
      const driver = (await adapter.client()) as { get(key: string): Promise<string | null> };
      assert.equal(await driver.get(key('k')), '"seen from both"');
      assert.equal(await adapter.client(), driver);
    },
  },
  {
    name: 'after closing, every method is told so',
    async run(_adapter, { key, another }) {
      const adapter = await another();
      await adapter.connect();
      await adapter.disconnect();
      const get = () => adapter.get(key('k'));
      const set = () => adapter.set(key('k'), 1);
      const ping = () => adapter.ping();
      for (const call of [get, set, ping]) await rejection(call, 'CONNECTION_CLOSED');
    },
  },
];

export const structures: readonly ContractCase<RedisAdapter>[] = [...counters, ...hashes, ...around];
