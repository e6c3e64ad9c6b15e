/** Scripts, on a server as Lua and embedded as their twins. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { defineScript, type RedisClient, type Reply } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { replyKind } from '../expectations.js';

/** Appends to a list and tells its length; the comment makes it a script no server has seen before. */
function appendScript() {
  return defineScript({
    name: 'contract.append',
    lua: `-- ${randomBytes(8).toString('hex')}
      return redis.call('RPUSH', KEYS[1], ARGV[1])`,
    args: (value: string | Buffer) => [value],
    decode: (reply) => Number(reply),
    twin: (keyspace, [key]: readonly [string], value) => keyspace.call('RPUSH', key, value),
  });
}

/** Every shape a script may answer with. */
const shapesScript = defineScript({
  name: 'contract.shapes',
  lua: `
redis.call('SET', KEYS[1], ARGV[1])
return { redis.call('GET', KEYS[1]), false, 7, { 'nested', {} }, redis.call('SET', KEYS[1], 'x') }`,
  args: (value: Buffer) => [value],
  decode: (reply) => reply,
  twin: (keyspace, [key]: readonly [string], value) => {
    keyspace.call('SET', key, value);
    const read = keyspace.call('GET', key);
    return [read, null, 7, ['nested', []], keyspace.call('SET', key, 'x')];
  },
});

const readScript = defineScript({
  name: 'contract.read-two',
  lua: `return { redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) }`,
  args: () => [],
  decode: (reply) =>
    Array.isArray(reply) ? (reply as Reply[]).map((item) => (item === null ? null : String(item))) : [],
  twin: (keyspace, [a, b]: readonly [string, string]) => [keyspace.call('GET', a), keyspace.call('GET', b)],
  readOnly: true,
});

const withoutKeys = defineScript({
  name: 'contract.without-keys',
  lua: `return #KEYS + #ARGV`,
  args: (values: readonly string[]) => values,
  decode: (reply) => Number(reply),
  twin: (_keyspace, keys: readonly [], values) => keys.length + values.length,
});

export const scripts: readonly ContractCase<RedisClient>[] = [
  {
    name: 'a script the server has never seen is run once, and again after its cache was emptied',
    async run(client, { key, flushScripts }) {
      const script = appendScript();
      assert.equal(await client.run(script, [key('list')], 'a'), 1);
      assert.equal(await client.run(script, [key('list')], 'b'), 2);
      await flushScripts();
      assert.equal(await client.run(script, [key('list')], 'c'), 3);
      assert.deepEqual(await client.command('LRANGE', [key('list'), 0, -1]), ['a', 'b', 'c']);
    },
  },
  {
    name: 'many runs of a new script at once are each run once',
    async run(client, { key }) {
      const script = appendScript();
      const runs = Array.from({ length: 50 }, () => client.run(script, [key('list')], 'x'));
      assert.deepEqual(
        (await Promise.all(runs)).toSorted((a, b) => a - b),
        runs.map((_, i) => i + 1),
      );
    },
  },
  {
    name: 'the answer of a script is decoded from bytes, whatever its shape',
    async run(client, { key }) {
      const value = Buffer.from([0, 13, 10, 255]);
      const reply = await client.run(shapesScript, [key('k')], value, { reply: 'text' });
      assert.deepEqual(reply, [value, null, 7, [Buffer.from('nested'), []], Buffer.from('OK')]);
    },
  },
  {
    name: 'a script that only reads sees several keys of one slot',
    async run(client, { key }) {
      const [a, b] = [key('{t}:a'), key('{t}:b')];
      await client.command('SET', [a, '1']);
      assert.deepEqual(await client.run(readScript, [a, b], undefined), ['1', null]);
    },
  },
  {
    name: 'a script may do without keys',
    async run(client) {
      assert.equal(await client.run(withoutKeys, [], ['a', 'b']), 2);
    },
  },
  {
    name: 'a command that fails inside a script fails the run with its kind',
    async run(client, { key }) {
      await client.command('SET', [key('text'), 'v']);
      assert.equal(await replyKind(client.run(appendScript(), [key('text')], 'x')), 'WRONGTYPE');
      assert.equal(await client.command('GET', [key('text')]), 'v');
    },
  },
];
