/** What goes wrong, and that it goes wrong for the one call it belongs to. */
import assert from 'node:assert/strict';
import type { RedisClient } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { everythingSaid, reason, rejection, replyKind } from '../expectations.js';

/** Commands that would change the shared connection, block it, or harm whoever else uses the server. */
const REFUSED = [
  ...['BLPOP', 'BRPOP', 'BLMOVE', 'BRPOPLPUSH', 'BLMPOP', 'BZPOPMIN', 'BZPOPMAX', 'BZMPOP', 'WAIT'],
  ...['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE', 'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'MONITOR'],
  ...['MULTI', 'EXEC', 'DISCARD', 'WATCH', 'UNWATCH'],
  ...['SELECT', 'AUTH', 'HELLO', 'RESET', 'QUIT', 'ASKING', 'READONLY', 'READWRITE', 'CLIENT'],
  ...['KEYS', 'FLUSHALL', 'FLUSHDB', 'SWAPDB', 'SHUTDOWN', 'DEBUG'],
];

export const errors: readonly ContractCase<RedisClient>[] = [
  {
    name: 'an error reply rejects with its kind, and the client goes on',
    async run(client, { key }) {
      await client.command('RPUSH', [key('list'), 'a']);
      assert.equal(await replyKind(client.command('INCR', [key('list')])), 'WRONGTYPE');
      await client.command('SET', [key('text'), 'abc']);
      assert.equal(await replyKind(client.command('INCR', [key('text')])), 'ERR');
      assert.equal(await replyKind(client.command('GET', [])), 'ERR');
      assert.equal(await replyKind(client.command('NOSUCHCOMMAND', [key('k')])), 'ERR');
      assert.equal(await client.command('GET', [key('text')]), 'abc');
    },
  },
  {
    name: 'WRONGTYPE stays with its own GET when many leave together',
    async run(client, { key }) {
      await client.command('SET', [key('{t}:a'), '1']);
      await client.command('RPUSH', [key('{t}:list'), 'x']);
      await client.command('SET', [key('{t}:b'), '2']);
      const names = ['a', 'list', 'none', 'b', 'list', 'a'];
      const outcomes = await Promise.allSettled(
        names.map((name) => client.command('GET', [key(`{t}:${name}`)])),
      );
      const seen = outcomes.map((outcome) =>
        outcome.status === 'fulfilled' ? outcome.value : String(Reflect.get(Object(outcome.reason), 'kind')),
      );
      assert.deepEqual(seen, ['1', 'WRONGTYPE', null, '2', 'WRONGTYPE', '1']);
    },
  },
  {
    name: 'with anyType a key of another type counts as absent, alone and among others',
    async run(client, { key }) {
      await client.command('RPUSH', [key('{t}:list'), 'x']);
      await client.command('SET', [key('{t}:a'), '1']);
      const get = (name: string) => client.command('GET', [key(`{t}:${name}`)], { anyType: true });
      assert.equal(await get('list'), null);
      assert.deepEqual(await Promise.all([get('a'), get('list'), get('a')]), ['1', null, '1']);
    },
  },
  {
    name: 'commands that do not fit a shared connection are refused with a hint, in any case',
    async run(client) {
      for (const command of REFUSED) {
        for (const name of [command, command.toLowerCase()]) {
          const error = await rejection(() => client.command(name, ['a', 'b']), 'COMMAND_REFUSED');
          assert.ok((error.hint ?? '').length > 10, `${name} is refused without a hint`);
        }
      }
      assert.equal(await client.command('PING', []), 'PONG');
    },
  },
  {
    name: 'an error says nothing of the values that were sent',
    async run(client, { key }) {
      const secret = 'planted-secret-value';
      const failing = [
        client.command('NOSUCHCOMMAND', [secret, secret]),
        client.command('SET', [key('k'), secret, 'PX', secret]),
        client.command('HSET', [key('k'), secret]),
        client.command('INCRBY', [key('k'), secret]),
        client.command('KEYS', [secret]),
      ];
      for (const error of await Promise.all(failing.map((each) => reason(each)))) {
        assert.ok(!everythingSaid(error).includes(secret), everythingSaid(error));
      }
    },
  },
];
