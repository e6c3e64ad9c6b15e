/** Many commands at once: pipelines, and calls that are made without waiting for one another. */
import assert from 'node:assert/strict';
import type { PipelineResult, RedisClient } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { rejection } from '../expectations.js';

const MANY = 10_000;
const PATIENT = { timeout: '20s' } as const;

export const batches: readonly ContractCase<RedisClient>[] = [
  {
    name: 'each command of a pipeline has its own outcome, in its place',
    async run(client, { key }) {
      const results = await client.pipeline([
        { name: 'RPUSH', args: [key('list'), 'a'] },
        { name: 'GET', args: [key('list')] },
        { name: 'SELECT', args: [1] },
        { name: 'GET', args: [key('none')] },
        { name: 'LLEN', args: [key('list')] },
      ]);
      assert.deepEqual(results.map(outline), [1, 'WRONGTYPE', 'COMMAND_REFUSED', null, 1]);
    },
  },
  {
    name: 'a pipeline takes effect in its order',
    async run(client, { key }) {
      const k = key('k');
      const results = await client.pipeline([
        { name: 'GET', args: [k] },
        { name: 'SET', args: [k, '1'] },
        { name: 'GET', args: [k] },
        { name: 'SET', args: [k, '2'] },
        { name: 'GET', args: [k] },
        { name: 'DEL', args: [k] },
        { name: 'GET', args: [k] },
      ]);
      assert.deepEqual(results.map(outline), [null, 'OK', '1', 'OK', '2', 1, null]);
    },
  },
  {
    name: 'an empty pipeline is answered with nothing',
    async run(client) {
      assert.deepEqual(await client.pipeline([]), []);
    },
  },
  {
    name: 'options of a pipeline are those of each of its commands',
    async run(client, { key }) {
      await client.command('SET', [key('k'), 'v']);
      const get = { name: 'GET', args: [key('k')] };
      const results = await client.pipeline([get, get], { reply: 'bytes' });
      assert.deepEqual(results.map(outline), [Buffer.from('v'), Buffer.from('v')]);
    },
  },
  {
    name: 'a pipeline with an aborted signal fails command by command',
    async run(client, { key }) {
      const stop = new Error('not needed any more');
      const commands = ['a', 'b'].map((name) => ({ name: 'SET', args: [key(name), 'v'] }));
      const results = await client.pipeline(commands, { signal: AbortSignal.abort(stop) });
      assert.deepEqual(results, [
        { ok: false, error: stop },
        { ok: false, error: stop },
      ]);
      assert.equal(await client.command('EXISTS', [key('a')]), 0);
    },
  },
  {
    name: 'a thousand commands of one pipeline are answered in order',
    async run(client, { key }) {
      const commands = Array.from({ length: 1_000 }, (_, i) => ({ name: 'SET', args: [key(`${i}`), i] }));
      const set = await client.pipeline(commands, PATIENT);
      assert.ok(set.every((result) => outline(result) === 'OK'));
      const reads = commands.map(({ args: [name = ''] }) => ({ name: 'GET', args: [name] }));
      const got = await client.pipeline(reads, PATIENT);
      assert.deepEqual(
        got.map(outline),
        commands.map((_, i) => String(i)),
      );
    },
  },
  {
    /** A client with a cap on calls in flight has to be made with room for them. */
    name: 'ten thousand reads at once are each answered with their own value',
    async run(client, { key }) {
      const keys = Array.from({ length: 100 }, (_, i) => key(`${i}`));
      await client.pipeline(keys.map((name, i) => ({ name: 'SET', args: [name, `value ${i}`] })));
      const reads = Array.from({ length: MANY }, (_, i) =>
        client.command('GET', [keys[i % 100] ?? ''], PATIENT),
      );
      const values = await Promise.all(reads);
      const wrong = values.filter((value, i) => value !== `value ${i % 100}`);
      assert.deepEqual(wrong, []);
    },
  },
  {
    name: 'of several who ask for one key in one turn each has an answer of its own',
    async run(client, { key }) {
      const [k, none, list] = [key('{t}:k'), key('{t}:none'), key('{t}:list')];
      await client.command('SET', [k, 'value']);
      await client.command('RPUSH', [list, 'a']);
      const bytes = (): Promise<unknown> => client.command('GET', [k], { reply: 'bytes' });
      const refused = (): Promise<unknown> => client.command('GET', [list]).catch(kindOf);
      const [first, text, second, ...others] = await Promise.all([
        bytes(),
        client.command('GET', [k]),
        bytes(),
        client.command('GET', [none]),
        refused(),
        client.command('GET', [none]),
        refused(),
      ]);
      assert.ok(Buffer.isBuffer(first));
      first.fill(0);
      assert.deepEqual([text, second], ['value', Buffer.from('value')]);
      assert.deepEqual(others, [null, 'WRONGTYPE', null, 'WRONGTYPE']);
    },
  },
  {
    name: 'writes to one key take effect in the order of the calls, awaited or not',
    async run(client, { key }) {
      const calls = Array.from({ length: 200 }, (_, i) => client.command('RPUSH', [key('list'), i]));
      assert.deepEqual(
        await Promise.all(calls),
        calls.map((_, i) => i + 1),
      );
      const list = await client.command('LRANGE', [key('list'), 0, -1]);
      assert.deepEqual(
        list,
        calls.map((_, i) => String(i)),
      );
    },
  },
  {
    name: 'what is asked in one turn sees what was written before it in that turn, and not what comes after',
    async run(client, { key }) {
      const [k, other] = [key('{t}:k'), key('{t}:other')];
      const answers = await Promise.all([
        client.command('SET', [k, '1']),
        client.command('GET', [k]),
        client.command('GET', [other]),
        client.command('SET', [k, '2']),
        client.command('GET', [k]),
        client.command('GET', [other]),
      ]);
      assert.deepEqual(answers, ['OK', '1', null, 'OK', '2', null]);
    },
  },
  {
    name: 'a duration that is none is refused before anything is sent',
    async run(client, { key }) {
      const call = client.command('SET', [key('k'), 'v'], { timeout: 'soon' as '1s' });
      await rejection(call, 'INVALID_DURATION');
      assert.equal(await client.command('EXISTS', [key('k')], { timeout: 5 }), 0);
    },
  },
];

function outline(result: PipelineResult): unknown {
  return result.ok ? result.value : kindOf(result.error);
}

function kindOf(error: object): unknown {
  const kind: unknown = Reflect.get(error, 'kind');
  return kind ?? Reflect.get(error, 'code');
}
