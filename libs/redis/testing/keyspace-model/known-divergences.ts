/**
 * What the comparison with a real server has turned up, or was feared to: each case a few commands and the
 * reply of Redis 7.0 to the last one, as `show` writes it.
 */
import type { Argument } from './random-commands.js';

export interface KnownDivergence {
  readonly about: string;
  readonly commands: readonly (readonly [name: string, ...args: Argument[]])[];
  readonly reply: string;
}

const NUL = Buffer.from([0x00, 0x31]);

export const knownDivergences: readonly KnownDivergence[] = [
  {
    about: 'an empty cursor is zero',
    commands: [['SCAN', '', 'COUNT', -1]],
    reply: '(error) ERR syntax error',
  },
  {
    about: 'a score of minus zero loses its sign',
    commands: [
      ['ZADD', 'z', '-0', 'a'],
      ['ZSCORE', 'z', 'a'],
    ],
    reply: '"0"',
  },
  {
    about: 'but the reply to the increment keeps it',
    commands: [['ZADD', 'z', 'INCR', '-0', 'a']],
    reply: '"-0"',
  },
  {
    about: 'ZSCAN shows a whole score as an integer',
    commands: [
      ['ZADD', 'z', '1e17', 'a'],
      ['ZSCAN', 'z', 0],
    ],
    reply: '["0", ["a", "100000000000000000"]]',
  },
  {
    about: 'ZSCORE does not',
    commands: [
      ['ZADD', 'z', '1e17', 'a'],
      ['ZSCORE', 'z', 'a'],
    ],
    reply: '"1e+17"',
  },
  {
    about: 'scores have 17 digits',
    commands: [
      ['ZADD', 'z', '0.1', 'a', '0.000001', 'b'],
      ['ZRANGE', 'z', 0, -1, 'WITHSCORES'],
    ],
    reply: '["b", "9.9999999999999995e-07", "a", "0.10000000000000001"]',
  },
  {
    about: 'two stars do not match an empty field',
    commands: [
      ['HSET', 'h', '', '1', 'a', '2'],
      ['HSCAN', 'h', 0, 'MATCH', '**'],
    ],
    reply: '["0", ["a", "2"]]',
  },
  {
    about: 'one star does',
    commands: [
      ['HSET', 'h', '', '1'],
      ['HSCAN', 'h', 0, 'MATCH', '*'],
    ],
    reply: '["0", ["", "1"]]',
  },
  {
    about: 'a bound ends at a zero byte, and nothing is zero',
    commands: [
      ['ZADD', 'z', 0, 'a', 1, 'b'],
      ['ZRANGE', 'z', NUL, NUL, 'BYSCORE'],
    ],
    reply: '["a"]',
  },
  {
    about: 'floats are added in 80 bits',
    commands: [
      ['SET', 's', '0.1'],
      ['INCRBYFLOAT', 's', '0.2'],
    ],
    reply: '"0.3"',
  },
  {
    about: 'and printed with 17 decimals',
    commands: [
      ['SET', 's', '123456789.123456789'],
      ['INCRBYFLOAT', 's', '0'],
    ],
    reply: '"123456789.12345678899873747"',
  },
  {
    about: 'GETRANGE takes an end before the beginning for the first byte',
    commands: [
      ['SET', 's', 'abc'],
      ['GETRANGE', 's', 0, -100],
    ],
    reply: '"a"',
  },
  {
    about: 'an expiry option may be repeated',
    commands: [['SET', 's', '1', 'EX', 10, 'EX', 20]],
    reply: '"OK"',
  },
  {
    about: 'but not joined by another one',
    commands: [['SET', 's', '1', 'EX', 10, 'PX', 20]],
    reply: '(error) ERR syntax error',
  },
  {
    about: 'a count that is no integer is called negative',
    commands: [
      ['SADD', 't', 'a'],
      ['SPOP', 't', 'x'],
    ],
    reply: '(error) ERR value is out of range, must be positive',
  },
  {
    about: 'LINDEX looks for the key before it reads the index',
    commands: [['LINDEX', 'l', 'x']],
    reply: 'null',
  },
  {
    about: 'LMOVE to a key of another type takes nothing away',
    commands: [
      ['RPUSH', 'l', 'a'],
      ['SET', 's', '1'],
      ['LMOVE', 'l', 's', 'LEFT', 'RIGHT'],
      ['LRANGE', 'l', 0, -1],
    ],
    reply: '["a"]',
  },
  {
    about: 'the lowest integer has no counterpart',
    commands: [['DECRBY', 's', '-9223372036854775808']],
    reply: '(error) ERR decrement would overflow',
  },
  {
    about: 'ZINCRBY takes an increment named like an option for the option',
    commands: [['ZINCRBY', 'z', 'nx', 'a']],
    reply: '(error) ERR syntax error',
  },
  {
    about: 'a failed ZADD leaves no empty key behind',
    commands: [
      ['ZADD', 'z', 'nan', 'a'],
      ['EXISTS', 'z'],
    ],
    reply: '0',
  },
  {
    about: 'infinities that cancel out are refused',
    commands: [
      ['ZADD', 'z', 'inf', 'a'],
      ['ZINCRBY', 'z', '-inf', 'a'],
    ],
    reply: '(error) ERR resulting score is not a number (NaN)',
  },
  {
    about: 'SMOVE of the only member removes the source',
    commands: [
      ['SADD', 't', 'a'],
      ['SMOVE', 't', 'u', 'a'],
      ['EXISTS', 't', 'u'],
    ],
    reply: '1',
  },
  {
    about: 'GETEX with a time in the past deletes after reading',
    commands: [
      ['SET', 's', '1'],
      ['GETEX', 's', 'PXAT', 1],
      ['EXISTS', 's'],
    ],
    reply: '0',
  },
  {
    about: 'EXPIRETIME rounds to the nearest second, half up',
    commands: [
      ['SET', 's', '1', 'PXAT', 4_100_000_000_500],
      ['EXPIRETIME', 's'],
    ],
    reply: '4100000001',
  },
  {
    about: 'and down below the half',
    commands: [
      ['SET', 's', '1', 'PXAT', 4_100_000_000_499],
      ['EXPIRETIME', 's'],
    ],
    reply: '4100000000',
  },
  {
    about: 'GT refuses the very same expiry',
    commands: [
      ['SET', 's', '1', 'EXAT', 4_000_000_000],
      ['EXPIREAT', 's', 4_000_000_000, 'GT'],
    ],
    reply: '0',
  },
  {
    about: 'LT refuses the very same expiry',
    commands: [
      ['SET', 's', '1', 'EXAT', 4_000_000_000],
      ['EXPIREAT', 's', 4_000_000_000, 'LT'],
    ],
    reply: '0',
  },
  {
    about: 'GT refuses the very same score, which an increment shows',
    commands: [
      ['ZADD', 'z', 1, 'a'],
      ['ZADD', 'z', 'GT', 'INCR', 0, 'a'],
    ],
    reply: 'null',
  },
  {
    about: 'LREM with a negative count begins at the tail',
    commands: [
      ['RPUSH', 'l', 'a', 'b', 'a'],
      ['LREM', 'l', -1, 'a'],
      ['LRANGE', 'l', 0, -1],
    ],
    reply: '["a", "b"]',
  },
  {
    about: 'a copy has the expiry of its source',
    commands: [
      ['SET', 's', '1', 'EXAT', 4_000_000_000],
      ['COPY', 's', 's2'],
      ['EXPIRETIME', 's2'],
    ],
    reply: '4000000000',
  },
];
