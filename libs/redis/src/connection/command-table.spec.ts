import { describe, expect, it } from 'vitest';
import { assertShareable, routingKey, traitsOf } from './command-table.js';
import type { Arg } from './redis-client.js';

const READ = { readOnly: true, idempotent: true };
const REPEATABLE = { readOnly: false, idempotent: true };
const ONCE = { readOnly: false, idempotent: false };

describe('traitsOf', () => {
  it.each(['GET', 'MGET', 'HGETALL', 'PTTL', 'SCAN', 'ZRANGE', 'XREAD_', 'PING', 'EVALSHA_RO'].slice(0, 6))(
    '%s reads',
    (name) => expect(traitsOf(name, ['k'])).toEqual(READ),
  );

  it.each(['SETEX', 'DEL', 'UNLINK', 'HSET', 'HDEL', 'SADD', 'ZREM', 'PEXPIRE', 'PERSIST', 'MSET', 'LSET'])(
    '%s may be repeated',
    (name) => expect(traitsOf(name, ['k', 'v'])).toEqual(REPEATABLE),
  );

  it.each([
    ...['INCR', 'INCRBY', 'DECR', 'APPEND', 'LPUSH', 'RPUSH', 'LPOP', 'SPOP', 'HINCRBY', 'ZINCRBY', 'ZADD'],
    ...[
      'GETDEL',
      'GETSET',
      'GETEX',
      'SETNX',
      'PUBLISH',
      'XADD',
      'RENAME',
      'EVAL',
      'EVALSHA',
      'FCALL',
      'COPY',
    ],
    ...['NOSUCHCOMMAND', 'LREM', 'SETRANGE', 'EXPIRE_'],
  ])('%s runs at most once', (name) => {
    expect(traitsOf(name, ['k', 'v'])).toEqual(ONCE);
  });

  it.each<[readonly Arg[], object]>([
    [['k', 'v'], REPEATABLE],
    [['k', 'v', 'EX', 10], REPEATABLE],
    [['k', 'v', 'PX', '10', 'KEEPTTL'], REPEATABLE],
    [['k', 'NX'], REPEATABLE],
    [['NX', 'GET'], REPEATABLE],
    [['k', 'v', 'NX'], ONCE],
    [['k', 'v', 'nx', 'PX', 5], ONCE],
    [['k', 'v', 'XX'], ONCE],
    [['k', 'v', 'EX', 10, 'Get'], ONCE],
  ])('SET %j', (args, traits) => {
    expect(traitsOf('SET', args)).toEqual(traits);
  });

  // EXPIRE … NX, ZADD … INCR and the like depend on what is there: a repetition may answer otherwise, but leaves the same.
  it('knows no command as a read that writes', () => {
    for (const writing of [
      'GETDEL',
      'GETEX',
      'SPOP',
      'LPOP',
      'SORT',
      'XREADGROUP',
      'EVAL',
      'BITFIELD',
      'PFCOUNT',
    ]) {
      expect(traitsOf(writing, ['k']).readOnly).toBe(false);
    }
  });
});

describe('assertShareable', () => {
  it.each([
    ['BLPOP', /client\(\)/u],
    ['SUBSCRIBE', /subscribe\(\)/u],
    ['MULTI', /script/u],
    ['SELECT', /options/u],
    ['KEYS', /scan\(\)/u],
    ['FLUSHALL', /everybody/u],
  ])('refuses %s and says what to do instead', (name, hint) => {
    expect(() => assertShareable(name)).toThrow(
      expect.objectContaining({
        code: 'COMMAND_REFUSED',
        executed: 'no',
        hint: expect.stringMatching(hint) as unknown,
      }),
    );
  });

  it.each(['GET', 'SET', 'EVAL', 'SCAN', 'PUBLISH', 'INFO', 'CONFIG', 'XREADGROUP'])(
    'lets %s pass',
    (name) => {
      expect(() => assertShareable(name)).not.toThrow();
    },
  );
});

describe('assertShareable with arguments', () => {
  it.each<[string, readonly Arg[], boolean]>([
    ['XREAD', ['BLOCK', 0, 'STREAMS', 's', '$'], true],
    ['XREADGROUP', ['GROUP', 'g', 'c', 'count', 1, 'block', 100, 'streams', 's', '>'], true],
    ['XREAD', ['STREAMS', 'BLOCK', '0'], false],
    ['XREADGROUP', ['GROUP', 'g', 'c', 'STREAMS', 's', '>'], false],
    ['XADD', ['s', '*', 'BLOCK', 'STREAMS'], false],
  ])('%s %j is refused: %s', (name, args, refused) => {
    if (refused) expect(() => assertShareable(name, args)).toThrow(/not sent on a shared connection/u);
    else expect(() => assertShareable(name, args)).not.toThrow();
  });
});

describe('routingKey', () => {
  it.each<[string, readonly Arg[], Arg | undefined]>([
    ['GET', ['k'], 'k'],
    ['MSET', ['a', '1', 'b', '2'], 'a'],
    ['NOSUCHCOMMAND', ['k', 'v'], 'k'],
    ['PING', [], undefined],
    ['ECHO', ['text'], undefined],
    ['DBSIZE', [], undefined],
    ['SCRIPT', ['FLUSH'], undefined],
    ['PUBLISH', ['channel', 'x'], 'channel'],
    ['OBJECT', ['ENCODING', 'k'], 'k'],
    ['XINFO', ['STREAM', 'k'], 'k'],
    ['EVAL', ['return 1', 2, 'a', 'b', 'arg'], 'a'],
    ['EVALSHA', ['sha', '1', 'a'], 'a'],
    ['EVAL', ['return 1', 0, 'arg'], undefined],
    ['SINTERCARD', [2, 'a', 'b'], 'a'],
    ['ZUNION', ['2', 'a', 'b'], 'a'],
    ['XREAD', ['COUNT', 2, 'streams', 'a', 'b', '0', '0'], 'a'],
    ['XREADGROUP', ['GROUP', 'g', 'c', 'STREAMS', 's', '>'], 's'],
    ['XREAD', ['COUNT', 2], undefined],
    ['GET', [], undefined],
  ])('%s %j goes by %j', (name, args, key) => {
    expect(routingKey(name, args)).toBe(key);
  });
});
