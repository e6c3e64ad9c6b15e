/** What comes back for what was sent. */
import assert from 'node:assert/strict';
import type { Arg, RedisClient, Reply } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { eventually } from '../expectations.js';

/** Every byte there is, so that nothing in between takes it for text. */
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const MEGABYTE = 1024 * 1024;
/** Large replies take longer than the usual quarter of a second on a busy machine. */
const PATIENT = { timeout: '5s' } as const;

/** A command, its arguments after the key, and the reply. */
type Row = readonly [name: string, args: readonly Arg[], reply: Reply];

const SHAPES: Readonly<Record<string, readonly Row[]>> = {
  'strings and counters': [
    ['GET', [], null],
    ['SET', ['1'], 'OK'],
    ['GET', [], '1'],
    ['INCR', [], 2],
    ['INCRBY', [40], 42],
    ['DECRBY', [2], 40],
    ['INCRBYFLOAT', ['0.5'], '40.5'],
    ['APPEND', ['!'], 5],
    ['STRLEN', [], 5],
    ['GETRANGE', [0, 1], '40'],
    ['SETRANGE', [4, '?'], 5],
    ['GETSET', ['x'], '40.5?'],
    ['SETNX', ['y'], 0],
    ['GETDEL', [], 'x'],
    ['EXISTS', [], 0],
  ],
  hashes: [
    ['HSET', ['a', '1', 'b', '2'], 2],
    ['HSET', ['b', '3', 'c', '4'], 1],
    ['HGET', ['a'], '1'],
    ['HGET', ['missing'], null],
    ['HMGET', ['a', 'missing'], ['1', null]],
    ['HGETALL', [], ['a', '1', 'b', '3', 'c', '4']],
    ['HKEYS', [], ['a', 'b', 'c']],
    ['HVALS', [], ['1', '3', '4']],
    ['HINCRBY', ['a', 4], 5],
    ['HINCRBYFLOAT', ['a', '0.25'], '5.25'],
    ['HEXISTS', ['a'], 1],
    ['HSETNX', ['a', '9'], 0],
    ['HSTRLEN', ['a'], 4],
    ['HDEL', ['a', 'b', 'missing'], 2],
    ['HLEN', [], 1],
    ['TYPE', [], 'hash'],
  ],
  lists: [
    ['RPUSH', ['a', 'b', 'c'], 3],
    ['LPUSH', ['z'], 4],
    ['LRANGE', [0, -1], ['z', 'a', 'b', 'c']],
    ['LRANGE', [9, 10], []],
    ['LINDEX', [1], 'a'],
    ['LSET', [1, 'A'], 'OK'],
    ['LREM', [0, 'b'], 1],
    ['LPOP', [], 'z'],
    ['LPOP', [2], ['A', 'c']],
    ['LPOP', [], null],
    ['LLEN', [], 0],
  ],
  sets: [
    ['SADD', ['a', 'b'], 2],
    ['SADD', ['a'], 0],
    ['SISMEMBER', ['a'], 1],
    ['SMISMEMBER', ['a', 'x'], [1, 0]],
    ['SCARD', [], 2],
    ['SREM', ['b'], 1],
    ['SMEMBERS', [], ['a']],
    ['SPOP', [], 'a'],
    ['SPOP', [], null],
  ],
  'sorted sets': [
    ['ZADD', [1, 'a', 2.5, 'b', 3, 'c'], 3],
    ['ZADD', ['CH', 5, 'a'], 1],
    ['ZADD', ['INCR', 1, 'a'], '6'],
    ['ZSCORE', ['b'], '2.5'],
    ['ZSCORE', ['missing'], null],
    ['ZMSCORE', ['b', 'missing'], ['2.5', null]],
    ['ZINCRBY', [0.5, 'c'], '3.5'],
    ['ZRANGE', [0, -1], ['b', 'c', 'a']],
    ['ZRANGE', [0, 1, 'WITHSCORES'], ['b', '2.5', 'c', '3.5']],
    ['ZRANGEBYSCORE', ['(2.5', '+inf'], ['c', 'a']],
    ['ZREVRANGE', [0, 0], ['a']],
    ['ZRANK', ['c'], 1],
    ['ZCOUNT', ['-inf', 4], 2],
    ['ZPOPMIN', [], ['b', '2.5']],
    ['ZREMRANGEBYSCORE', [0, 4], 1],
    ['ZCARD', [], 1],
  ],
  expiry: [
    ['PTTL', [], -2],
    ['SET', ['v'], 'OK'],
    ['PTTL', [], -1],
    ['TTL', [], -1],
    ['EXPIRE', [100], 1],
    ['TTL', [], 100],
    ['PERSIST', [], 1],
    ['PERSIST', [], 0],
    ['TTL', [], -1],
    ['SET', ['w', 'EX', 100], 'OK'],
    ['SET', ['x', 'KEEPTTL'], 'OK'],
    ['TTL', [], 100],
    ['SET', ['y'], 'OK'],
    ['TTL', [], -1],
    ['EXPIRE', [-1], 1],
    ['EXISTS', [], 0],
  ],
  'conditional writes': [
    ['SET', ['v', 'XX'], null],
    ['SET', ['v', 'NX'], 'OK'],
    ['SET', ['w', 'NX'], null],
    ['SET', ['w', 'XX', 'GET'], 'v'],
    ['SET', ['x', 'GET'], 'w'],
    ['GETEX', ['PERSIST'], 'x'],
    ['UNLINK', [], 1],
    ['DEL', [], 0],
  ],
};

const shapes: readonly ContractCase<RedisClient>[] = Object.entries(SHAPES).map(([what, rows]) => ({
  name: `replies of ${what} have Redis' own shapes`,
  async run(client, { key }) {
    const name = key(what);
    for (const [command, args, reply] of rows) {
      const call = `${command} ${args.join(' ')}`;
      assert.deepEqual(await client.command(command, [name, ...args]), reply, call);
    }
  },
}));

export const replies: readonly ContractCase<RedisClient>[] = [
  ...shapes,
  {
    name: 'binary values come back byte by byte, as strings, fields, members and in arrays',
    async run(client, { key }) {
      const bytes = { reply: 'bytes' } as const;
      await client.command('SET', [key('string'), ALL_BYTES]);
      assert.deepEqual(await client.command('GET', [key('string')], bytes), ALL_BYTES);
      await client.command('HSET', [key('hash'), ALL_BYTES, ALL_BYTES]);
      assert.deepEqual(await client.command('HGET', [key('hash'), ALL_BYTES], bytes), ALL_BYTES);
      assert.deepEqual(await client.command('HGETALL', [key('hash')], bytes), [ALL_BYTES, ALL_BYTES]);
      await client.command('RPUSH', [key('list'), ALL_BYTES, 'text']);
      assert.deepEqual(await client.command('LRANGE', [key('list'), 0, -1], bytes), [
        ALL_BYTES,
        Buffer.from('text'),
      ]);
    },
  },
  {
    name: 'a binary key is a key of its own, and the same key as its text where it is text',
    async run(client, { key }) {
      const binary = Buffer.concat([Buffer.from(key('k')), Buffer.from([0, 255, 254])]);
      await client.command('SET', [binary, 'binary']);
      assert.equal(await client.command('GET', [binary]), 'binary');
      await client.command('SET', [key('text'), 'text']);
      assert.equal(await client.command('GET', [Buffer.from(key('text'))]), 'text');
    },
  },
  {
    name: 'statuses, too, are bytes when bytes are asked for; numbers and nil stay what they are',
    async run(client, { key }) {
      const bytes = { reply: 'bytes' } as const;
      assert.deepEqual(await client.command('SET', [key('k'), 1], bytes), Buffer.from('OK'));
      assert.equal(await client.command('INCR', [key('k')], bytes), 2);
      assert.equal(await client.command('GET', [key('none')], bytes), null);
    },
  },
  {
    name: 'text of any script, the empty string and control characters come back as sent',
    async run(client, { key }) {
      const texts = [
        '',
        ' ',
        'نسخه',
        'книга',
        '本',
        '👩‍👩‍👧',
        'a\r\nb\0c',
        '"quoted" \\n',
        '+OK',
        '-ERR no',
        '$-1',
      ];
      for (const text of texts) {
        await client.command('SET', [key(`k:${text}`), text]);
        assert.equal(await client.command('GET', [key(`k:${text}`)]), text);
      }
    },
  },
  {
    name: 'a value of 1 MB goes both ways, as text and as bytes',
    async run(client, { key }) {
      const text = 'x'.repeat(MEGABYTE);
      await client.command('SET', [key('text'), text], PATIENT);
      assert.ok((await client.command('GET', [key('text')], PATIENT)) === text);
      const bytes = Buffer.alloc(MEGABYTE, ALL_BYTES);
      await client.command('SET', [key('bytes'), bytes], PATIENT);
      const back = await client.command('GET', [key('bytes')], { ...PATIENT, reply: 'bytes' });
      assert.ok(Buffer.isBuffer(back) && back.equals(bytes));
    },
  },
  {
    name: 'numbers are written in decimal',
    async run(client, { key }) {
      for (const [number, text] of [
        [0, '0'],
        [-1, '-1'],
        [1.5, '1.5'],
        [2 ** 53 - 1, '9007199254740991'],
      ] as const) {
        await client.command('SET', [key('n'), number]);
        assert.equal(await client.command('GET', [key('n')]), text);
      }
    },
  },
  {
    name: 'command names may be written in any case',
    async run(client, { key }) {
      assert.equal(await client.command('set', [key('k'), 'v']), 'OK');
      assert.equal(await client.command('Get', [key('k')]), 'v');
    },
  },
  {
    name: 'keys that share a {tag} go together in one command',
    async run(client, { key }) {
      const [a, b, c] = [key('{tag}:a'), key('{tag}:b'), key('{tag}:c')];
      assert.equal(await client.command('MSET', [a, '1', b, '2']), 'OK');
      assert.deepEqual(await client.command('MGET', [b, c, a]), ['2', null, '1']);
      assert.equal(await client.command('EXISTS', [a, b, c]), 2);
      assert.equal(await client.command('RENAME', [a, c]), 'OK');
      assert.equal(await client.command('DEL', [a, b, c]), 2);
    },
  },
  {
    name: 'what has expired is gone',
    async run(client, { key }) {
      await client.command('SET', [key('k'), 'v', 'PX', 30]);
      assert.equal(await client.command('GET', [key('k')]), 'v');
      await eventually('the key to expire', async () => (await client.command('GET', [key('k')])) === null);
      assert.equal(await client.command('PTTL', [key('k')]), -2);
    },
  },
];
