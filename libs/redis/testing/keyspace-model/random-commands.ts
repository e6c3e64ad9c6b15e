/**
 * Random commands for comparing two implementations: few keys, so that types collide; values at the edges of
 * every parser; options in all combinations, sensible or not; and now and then the wrong number of arguments.
 */

export type Argument = string | Buffer | number;

/** How two replies have to agree. */
export type Agreement =
  /** Byte for byte. */
  | 'exact'
  /** As a set: the order is the server's business. */
  | 'unordered'
  /** As a set of pairs, such as field and value. */
  | 'pairs'
  /** A cursor, which is ignored, and a set. */
  | 'scan'
  | 'scan-pairs'
  /** Both succeed, or both fail with the same words: what it answers is the server's business. */
  | 'outcome'
  /** A time that has moved on a little in between, in milliseconds or in seconds. */
  | 'milliseconds'
  | 'seconds';

export interface RandomCommand {
  readonly name: string;
  readonly args: readonly Argument[];
  readonly agreement: Agreement;
}

export type Random = () => number;

type Family = 'string' | 'hash' | 'list' | 'set' | 'zset';

/** Draws one argument or several. */
type Part = (draw: Draw) => readonly Argument[];

interface Shape {
  readonly name: string;
  readonly family: Family;
  readonly parts: readonly Part[];
  readonly agreement: Agreement;
  readonly weight: number;
}

const BINARY = Buffer.from([0x00, 0xff, 0x80, 0x0a, 0x2a]);
const KEYS: Readonly<Record<Family, readonly Argument[]>> = {
  string: ['s1', 's2', BINARY],
  hash: ['h1', 'h[2]'],
  list: ['l1', 'l2'],
  set: ['t1', 't2', 'ключ'],
  zset: ['z1', 'z2'],
};
const ALL_KEYS = Object.values(KEYS).flat();

const MEMBERS: readonly Argument[] = [
  'a',
  'b',
  'c',
  'd',
  '',
  '1',
  '2',
  'ab',
  'é',
  BINARY,
  'A',
  'field',
  '10',
];
const VALUES: readonly Argument[] = [
  '', '0', '1', '-1', '10', '3.5', '-0', '007', ' 1', '1 ', '+1', 'abc', 'значение', BINARY, '1e3', '5.0e-2',
  '9223372036854775807', '-9223372036854775808', '9223372036854775808', '0.1', '1000.1', 'inf', '-inf',
  'x'.repeat(100), Buffer.alloc(70, 0xfe),
]; // prettier-ignore
const INTEGERS: readonly Argument[] = [
  0, 1, -1, 2, -2, 3, 5, -5, 10, 100, -100, '9223372036854775807', '-9223372036854775808', '9223372036854775806',
]; // prettier-ignore
const NOT_INTEGERS: readonly Argument[] = [
  '',
  'x',
  '1.5',
  ' 1',
  '+1',
  '01',
  '9223372036854775808',
  BINARY,
  '-',
];
const INDEXES: readonly Argument[] = [0, 1, 2, 3, 5, -1, -2, -3, -10, 10, 100];
const FLOATS: readonly Argument[] = [
  '0', '1', '-1', '0.1', '0.2', '1.5', '-2.75', '3e2', '1e-5', '100', '1e17', '1e21', '123456789.123456789', '.5', '5.',
  '-0', '0.000001', '12345678901234567890',
]; // prettier-ignore
const NOT_FLOATS: readonly Argument[] = [
  '',
  'x',
  '1.5x',
  ' 1',
  '1 ',
  '1e400',
  'nan',
  '--1',
  'e5',
  '.',
  '1e',
  BINARY,
];
const INFINITE: readonly Argument[] = ['inf', '-inf', '+inf', 'Infinity', '-INFINITY'];

class Draw {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  of<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to draw from');
    return item;
  }
}

const keyOf =
  (family: Family): Part =>
  (draw) => [draw.chance(0.85) ? draw.of(KEYS[family]) : draw.of(ALL_KEYS)];
const anyKey: Part = (draw) => [draw.of(ALL_KEYS)];
const member: Part = (draw) => [draw.of(MEMBERS)];
/** Few, so that a list holds many that are alike. */
const element: Part = (draw) => [draw.of(['a', 'b', 'a', '', BINARY])];
const value: Part = (draw) => [draw.of(VALUES)];
const integer: Part = (draw) => [draw.chance(0.85) ? draw.of(INTEGERS) : draw.of(NOT_INTEGERS)];
const index: Part = (draw) => [draw.chance(0.93) ? draw.of(INDEXES) : draw.of(NOT_INTEGERS)];
const count: Part = (draw) => [draw.chance(0.9) ? draw.of([0, 1, 2, 3, 10, -1, -2]) : draw.of(NOT_INTEGERS)];
const float: Part = (draw) => [
  draw.of(draw.chance(0.85) ? FLOATS : draw.chance(0.6) ? NOT_FLOATS : INFINITE),
];
// Far apart, so that GT and LT do not hang on the millisecond at which each side read its clock.
const seconds: Part = (draw) => [
  draw.chance(0.6)
    ? 1_000 + draw.below(10_000_000)
    : draw.of([0, -1, 'x', '', '9223372036854775807', '9223372036854775']),
];
const milliseconds: Part = (draw) => [
  draw.chance(0.6) ? 1_000_000 + draw.below(10_000_000_000) : draw.of([0, -1, 'x', '9223372036854775807']),
];
const epochSeconds: Part = (draw) => [
  draw.of([4_000_000_000, 4_100_000_000, 1, 0, -5, 'x', '9223372036854775807']),
];
const epochMilliseconds: Part = (draw) => [
  draw.of([4_000_000_000_000, 4_100_000_000_499, 4_100_000_000_500, 1, 0, -5, 'x', '9223372036854775807']),
];

const word =
  (text: string): Part =>
  (draw) => [draw.chance(0.2) ? text.toLowerCase() : text];
const sometimes =
  (probability: number, ...parts: readonly Part[]): Part =>
  (draw) =>
    draw.chance(probability) ? parts.flatMap((part) => part(draw)) : [];
const oneOf =
  (...parts: readonly Part[]): Part =>
  (draw) =>
    draw.of(parts)(draw);
const all =
  (...parts: readonly Part[]): Part =>
  (draw) =>
    parts.flatMap((part) => part(draw));
const several =
  (most: number, ...parts: readonly Part[]): Part =>
  (draw) =>
    Array.from({ length: 1 + draw.below(most) }, () => all(...parts)(draw)).flat();
const upTo =
  (most: number, part: Part): Part =>
  (draw) =>
    Array.from({ length: draw.below(most + 1) }, () => part(draw)).flat();
const fixed =
  (...values: readonly Argument[]): Part =>
  () =>
    values;

const setExpiry = oneOf(
  all(word('EX'), seconds),
  all(word('PX'), milliseconds),
  all(word('EXAT'), epochSeconds),
  all(word('PXAT'), epochMilliseconds),
);
const setOption = oneOf(
  word('NX'),
  word('XX'),
  word('GET'),
  word('KEEPTTL'),
  setExpiry,
  setExpiry,
  word('PERSIST'),
  value,
);
const getexOption = oneOf(setExpiry, setExpiry, word('PERSIST'), word('NX'));
const expireOption = oneOf(word('NX'), word('XX'), word('GT'), word('LT'), word('FOO'));
const scoreBound: Part = (draw) => [
  draw.of([
    '-inf',
    '+inf',
    'inf',
    '0',
    '1',
    '(1',
    '100',
    '(100',
    '-1',
    '1.5',
    '(-2.75',
    '(inf',
    '',
    '(',
    'x',
    '(x',
    ' 1',
    '1e21',
  ]),
];
const lexBound: Part = (draw) => [
  draw.of(['-', '+', '[a', '(a', '[b', '(c', '[', '(', '[ab', 'a', '', '++', '[\u00e9']),
];
const limit = all(word('LIMIT'), index, index);
const rangeOption = oneOf(
  word('WITHSCORES'),
  limit,
  word('REV'),
  word('BYSCORE'),
  word('BYLEX'),
  word('FOO'),
);
const addOption = oneOf(word('NX'), word('XX'), word('GT'), word('LT'), word('CH'), word('INCR'));
const glob: Part = (draw) => [
  draw.of(['*', 'h*', '?1', '[hl]1', 'h\\[2]', '[^s]*', '*1*', 'a', '[a-c]', '[', '**', BINARY]),
];
const end = oneOf(word('LEFT'), word('RIGHT'), word('RIGHT'), word('LEFT'), word('UP'));

function shape(family: Family, name: string, parts: readonly Part[], rest: Partial<Shape> = {}): Shape {
  return { name, family, parts, agreement: 'exact', weight: 2, ...rest };
}

const string = keyOf('string');
const hash = keyOf('hash');
const list = keyOf('list');
const set = keyOf('set');
const zset = keyOf('zset');

const SHAPES: readonly Shape[] = [
  shape('string', 'GET', [string]),
  shape('string', 'SET', [string, value], { weight: 4 }),
  shape('string', 'SET', [string, value, upTo(3, setOption)], { weight: 8 }),
  shape('string', 'SET', [anyKey, value], { weight: 0.5 }),
  shape('string', 'SETEX', [string, seconds, value]),
  shape('string', 'PSETEX', [string, milliseconds, value]),
  shape('string', 'SETNX', [string, value]),
  shape('string', 'GETSET', [string, value]),
  shape('string', 'GETDEL', [string]),
  shape('string', 'GETEX', [string, upTo(2, getexOption)], { weight: 4 }),
  shape('string', 'MGET', [several(4, anyKey)]),
  shape('string', 'MSET', [several(3, string, value), sometimes(0.05, string)]),
  shape('string', 'MSETNX', [several(3, string, value)]),
  shape('string', 'STRLEN', [string]),
  shape('string', 'APPEND', [string, value]),
  shape('string', 'GETRANGE', [string, index, index]),
  shape('string', 'SETRANGE', [string, index, value]),
  shape('string', 'INCR', [string]),
  shape('string', 'DECR', [string]),
  shape('string', 'INCRBY', [string, integer], { weight: 4 }),
  shape('string', 'DECRBY', [string, integer], { weight: 4 }),
  shape('string', 'INCRBYFLOAT', [string, float], { weight: 6 }),

  shape('string', 'DEL', [several(2, anyKey)], { weight: 8 }),
  shape('string', 'UNLINK', [anyKey]),
  shape('string', 'EXISTS', [several(3, anyKey)]),
  shape('string', 'TOUCH', [several(3, anyKey)]),
  shape('string', 'TYPE', [anyKey]),
  shape('string', 'EXPIRE', [anyKey, seconds, upTo(2, expireOption)]),
  shape('string', 'PEXPIRE', [anyKey, milliseconds, upTo(2, expireOption)]),
  shape('string', 'EXPIREAT', [string, epochSeconds, upTo(2, expireOption)], { weight: 6 }),
  shape('string', 'PEXPIREAT', [string, epochMilliseconds, upTo(2, expireOption)], { weight: 6 }),
  shape('string', 'TTL', [anyKey], { agreement: 'seconds' }),
  shape('string', 'PTTL', [anyKey], { agreement: 'milliseconds', weight: 4 }),
  shape('string', 'EXPIRETIME', [anyKey], { agreement: 'seconds' }),
  shape('string', 'PEXPIRETIME', [anyKey], { agreement: 'milliseconds', weight: 4 }),
  shape('string', 'PERSIST', [anyKey]),
  shape('string', 'RENAME', [anyKey, anyKey]),
  shape('string', 'RENAMENX', [anyKey, anyKey]),
  shape('string', 'COPY', [anyKey, anyKey, upTo(1, oneOf(word('REPLACE'), word('REPLACE'), all(word('DB'), fixed(0)), word('X')))]),
  shape('string', 'SCAN', [
    fixed(0), word('COUNT'), fixed(10_000), upTo(1, oneOf(all(word('MATCH'), glob), all(word('TYPE'), oneOf(fixed('hash'), fixed('ZSET'), fixed('nope'))))),
  ], { agreement: 'scan' }),
  shape('string', 'SCAN', [oneOf(fixed('x'), fixed(''), fixed('0')), oneOf(word('COUNT'), word('MATCH'), word('FOO')), upTo(1, count)], { agreement: 'outcome', weight: 0.5 }),
  shape('string', 'DBSIZE', [], { agreement: 'outcome' }),
  shape('string', 'PING', [upTo(2, value)]),
  shape('string', 'ECHO', [value]),
  shape('string', 'NOSUCH', [upTo(2, value)], { weight: 0.5 }),

  shape('hash', 'HSET', [hash, several(3, member, value)], { weight: 10 }),
  shape('hash', 'HMSET', [hash, several(2, member, value)]),
  shape('hash', 'HSETNX', [hash, member, value]),
  shape('hash', 'HGET', [hash, member], { weight: 4 }),
  shape('hash', 'HMGET', [hash, several(4, member)]),
  shape('hash', 'HGETALL', [hash], { agreement: 'pairs' }),
  shape('hash', 'HDEL', [hash, several(3, member)], { weight: 4 }),
  shape('hash', 'HEXISTS', [hash, member]),
  shape('hash', 'HLEN', [hash]),
  shape('hash', 'HSTRLEN', [hash, member]),
  shape('hash', 'HKEYS', [hash], { agreement: 'unordered' }),
  shape('hash', 'HVALS', [hash], { agreement: 'unordered' }),
  shape('hash', 'HINCRBY', [hash, member, integer], { weight: 4 }),
  shape('hash', 'HINCRBYFLOAT', [hash, member, float], { weight: 4 }),
  shape('hash', 'HRANDFIELD', [hash, oneOf(fixed(100), fixed(0), fixed('x'))], { agreement: 'unordered' }),
  shape('hash', 'HRANDFIELD', [hash, fixed(100), oneOf(word('WITHVALUES'), fixed('x'))], { agreement: 'pairs' }),
  shape('hash', 'HSCAN', [hash, fixed(0), word('COUNT'), fixed(1_000), upTo(1, all(word('MATCH'), glob))], { agreement: 'scan-pairs' }),
  shape('hash', 'HSCAN', [hash, oneOf(fixed('x'), fixed(0)), oneOf(word('TYPE'), word('COUNT')), count], { agreement: 'outcome' }),

  shape('set', 'SADD', [set, several(4, member)], { weight: 12 }),
  shape('set', 'SREM', [set, several(2, member)], { weight: 4 }),
  shape('set', 'SMEMBERS', [set], { agreement: 'unordered' }),
  shape('set', 'SISMEMBER', [set, member]),
  shape('set', 'SMISMEMBER', [set, several(3, member)]),
  shape('set', 'SCARD', [set]),
  shape('set', 'SPOP', [set, oneOf(fixed(100), fixed(0), fixed(-1), fixed('x'))], { agreement: 'unordered' }),
  shape('set', 'SRANDMEMBER', [set, oneOf(fixed(100), fixed(0), fixed('x'))], { agreement: 'unordered' }),
  shape('set', 'SMOVE', [set, set, member]),
  shape('set', 'SINTER', [several(3, set)], { agreement: 'unordered' }),
  shape('set', 'SUNION', [several(3, set)], { agreement: 'unordered' }),
  shape('set', 'SDIFF', [several(3, set)], { agreement: 'unordered' }),
  shape('set', 'SINTERSTORE', [anyKey, several(2, set)]),
  shape('set', 'SUNIONSTORE', [set, several(2, set)]),
  shape('set', 'SDIFFSTORE', [set, several(2, set)]),
  shape('set', 'SINTERCARD', [oneOf(fixed(2), fixed(1), fixed(0), fixed(5), fixed('x')), set, set, upTo(1, all(word('LIMIT'), count))]),
  shape('set', 'SSCAN', [set, fixed(0), word('COUNT'), fixed(1_000), upTo(1, all(word('MATCH'), glob))], { agreement: 'scan' }),

  shape('zset', 'ZADD', [zset, several(3, float, member)], { weight: 10 }),
  shape('zset', 'ZADD', [zset, upTo(3, addOption), several(2, float, member)], { weight: 10 }),
  shape('zset', 'ZINCRBY', [zset, float, member], { weight: 4 }),
  shape('zset', 'ZREM', [zset, several(2, member)], { weight: 3 }),
  shape('zset', 'ZSCORE', [zset, member]),
  shape('zset', 'ZMSCORE', [zset, several(3, member)]),
  shape('zset', 'ZCARD', [zset]),
  shape('zset', 'ZCOUNT', [zset, scoreBound, scoreBound]),
  shape('zset', 'ZRANK', [zset, member]),
  shape('zset', 'ZREVRANK', [zset, member]),
  shape('zset', 'ZRANGE', [zset, index, index, upTo(1, rangeOption)], { weight: 4 }),
  shape('zset', 'ZRANGE', [zset, scoreBound, scoreBound, word('BYSCORE'), upTo(3, rangeOption)], { weight: 6 }),
  shape('zset', 'ZREVRANGE', [zset, index, index, upTo(1, rangeOption)]),
  shape('zset', 'ZRANGEBYSCORE', [zset, scoreBound, scoreBound, upTo(2, rangeOption)], { weight: 4 }),
  shape('zset', 'ZREVRANGEBYSCORE', [zset, scoreBound, scoreBound, upTo(2, rangeOption)], { weight: 4 }),
  shape('zset', 'ZREMRANGEBYSCORE', [zset, scoreBound, scoreBound]),
  shape('zset', 'ZREMRANGEBYRANK', [zset, index, index]),
  shape('zset', 'ZPOPMIN', [zset, upTo(1, count)]),
  shape('zset', 'ZPOPMAX', [zset, upTo(1, count)]),
  shape('zset', 'ZRANDMEMBER', [zset, fixed(100)], { agreement: 'unordered' }),
  shape('zset', 'ZSCAN', [zset, fixed(0), word('COUNT'), fixed(1_000)], { agreement: 'scan-pairs' }),
  // Order by bytes means something only where all scores are the same: a key of its own, and one score.
  shape('zset', 'ZADD', [fixed('lex'), several(3, fixed(0), member)], { weight: 3 }),
  shape('zset', 'ZRANGE', [fixed('lex'), lexBound, lexBound, word('BYLEX'), upTo(2, rangeOption)], { weight: 4 }),
  shape('zset', 'ZRANGEBYLEX', [fixed('lex'), lexBound, lexBound, upTo(1, limit)]),
  shape('zset', 'ZREVRANGEBYLEX', [fixed('lex'), lexBound, lexBound, upTo(1, limit)]),
  shape('zset', 'ZLEXCOUNT', [fixed('lex'), lexBound, lexBound]),
  shape('zset', 'ZREMRANGEBYLEX', [fixed('lex'), lexBound, lexBound], { weight: 0.5 }),

  shape('list', 'LPUSH', [list, several(3, element)], { weight: 8 }),
  shape('list', 'RPUSH', [list, several(3, element)], { weight: 8 }),
  shape('list', 'LPUSHX', [list, several(2, element)]),
  shape('list', 'RPUSHX', [list, several(2, element)]),
  shape('list', 'LPOP', [list, upTo(1, count)]),
  shape('list', 'RPOP', [list, upTo(1, count)]),
  shape('list', 'LLEN', [list]),
  shape('list', 'LRANGE', [list, index, index], { weight: 4 }),
  shape('list', 'LINDEX', [list, index]),
  shape('list', 'LSET', [list, index, element]),
  shape('list', 'LREM', [list, index, element], { weight: 6 }),
  shape('list', 'LTRIM', [list, index, index]),
  shape('list', 'LINSERT', [list, oneOf(word('BEFORE'), word('AFTER'), word('X')), element, element]),
  shape('list', 'LMOVE', [list, list, end, end], { weight: 4 }),
  shape('list', 'RPOPLPUSH', [list, list]),
]; // prettier-ignore

const TOTAL_WEIGHT = SHAPES.reduce((sum, { weight }) => sum + weight, 0);
const WRONG_ARITY = 0.02;

/** The next command of a sequence that `random` determines. */
export function randomCommand(random: Random): RandomCommand {
  const draw = new Draw(random);
  const { name, parts, agreement } = drawShape(random() * TOTAL_WEIGHT);
  const args = parts.flatMap((part) => part(draw));
  if (draw.chance(WRONG_ARITY)) {
    // SPOP without its count is well formed, and would take a different member from each side.
    const shorter = name !== 'SPOP' && draw.chance(0.5);
    return { name, args: shorter ? args.slice(0, -1) : [...args, 'extra'], agreement: 'outcome' };
  }
  return { name: draw.chance(0.1) ? name.toLowerCase() : name, args, agreement };
}

function drawShape(point: number): Shape {
  let left = point;
  const found = SHAPES.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  if (found === undefined) throw new Error('no command drawn');
  return found;
}
