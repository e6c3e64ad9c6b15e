/**
 * The streams of the embedded keyspace against a real server: the same random commands to both, replies and errors
 * compared after each step. `DRIFT_SEED` repeats a run, `DRIFT_COMMANDS` makes it longer.
 */
import { createClient, resolveConnection, type Reply } from '@anbar/nestjs-redis/connection';
import { createRedis, isRedisModuleError } from '@anbar/nestjs-redis';
import { createRandom, type Random } from '@anbar/nestjs-redis/testing';
import { expect, it } from 'vitest';
import { shared } from '../topology/index.js';

const SEED = Number(process.env['DRIFT_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const COMMANDS = Number(process.env['DRIFT_COMMANDS'] ?? 3_000);
const LIFE = 150;
const BATCH = 50;

type Command = readonly [name: string, ...args: string[]];

const GROUPS = ['g1', 'g2', 'absent'] as const;
const CONSUMERS = ['ann', 'bob'] as const;

/** Ids near each other, so that commands meet; some are none. */
function id(random: Random): string {
  return random.oneOf([
    `${random.integer(1, 12)}-${random.integer(0, 3)}`,
    `${random.integer(1, 12)}-${random.integer(0, 3)}`,
    `${random.integer(1, 12)}`,
    '0',
    '0-0',
    '18446744073709551615-18446744073709551615',
    'x',
    '1-x',
    '-1',
  ]);
}

function bound(random: Random): string {
  return random.oneOf(['-', '+', '-', '+', id(random), `(${id(random)}`]);
}

function trim(random: Random): string[] {
  return random.oneOf([
    [],
    [],
    [],
    ['MAXLEN', random.oneOf(['3', '0', '8', '-1', 'x'])],
    ['MAXLEN', '=', '5'],
    ['MINID', id(random)],
    ['MAXLEN', '3', 'LIMIT', '5'],
  ]);
}

const count = (random: Random): string[] =>
  random.oneOf([[], [], ['COUNT', random.oneOf(['1', '2', '5', '0', '-1', 'x'])]]);

type Shape = (random: Random, key: string) => Command;

const add: Shape = (random, key) => {
  const wanted = random.oneOf([id(random), `${random.integer(1, 14)}-*`, `${random.integer(1, 14)}-*`]);
  return ['XADD', key, ...random.oneOf([[], [], ['NOMKSTREAM']]), ...trim(random), wanted, 'f', 'v'];
};

const readGroup: Shape = (random, key) => {
  // Not after the highest id of all, where a server begins anew.
  const from = random.oneOf(['>', '>', '>', '0', `${random.integer(1, 12)}-1`, 'x', '$']);
  const who = ['GROUP', random.oneOf(GROUPS), random.oneOf(CONSUMERS)];
  return ['XREADGROUP', ...who, ...count(random), ...random.oneOf([[], [], ['NOACK']]), 'STREAMS', key, from];
};

const SHAPES: readonly [Shape, ...Shape[]] = [
  add,
  add,
  add,
  add,
  readGroup,
  readGroup,
  readGroup,
  (_, key) => ['XLEN', key],
  (random, key) => ['XRANGE', key, bound(random), bound(random), ...count(random)],
  (random, key) => ['XREVRANGE', key, bound(random), bound(random), ...count(random)],
  (random, key) => ['XDEL', key, id(random), id(random)],
  (random, key) => ['XTRIM', key, ...trim(random)],
  (random, key) => ['XREAD', ...count(random), 'STREAMS', key, random.oneOf([id(random), '$', '0'])],
  (random, key) => {
    const make = random.oneOf([[], ['MKSTREAM'], ['MKSTREAM']]);
    return [
      'XGROUP',
      'CREATE',
      key,
      random.oneOf(['g1', 'g2']),
      random.oneOf(['0', '$', id(random)]),
      ...make,
    ];
  },
  (random, key) => ['XGROUP', 'DESTROY', key, random.oneOf(GROUPS)],
  (random, key) => ['XGROUP', 'SETID', key, random.oneOf(GROUPS), random.oneOf(['0', '$', id(random)])],
  (random, key) => ['XGROUP', 'CREATECONSUMER', key, random.oneOf(GROUPS), random.oneOf(CONSUMERS)],
  (random, key) => ['XGROUP', 'DELCONSUMER', key, random.oneOf(GROUPS), random.oneOf(CONSUMERS)],
  (random, key) => ['XACK', key, random.oneOf(GROUPS), id(random), id(random)],
  (random, key) => ['XPENDING', key, random.oneOf(GROUPS)],
  (random, key) => {
    const who = random.oneOf([[], [random.oneOf(CONSUMERS)], ['nobody']]);
    return [
      'XPENDING',
      key,
      random.oneOf(GROUPS),
      ...idle(random),
      bound(random),
      bound(random),
      '3',
      ...who,
    ];
  },
  (random, key) => {
    const options = random.oneOf([[], ['JUSTID'], ['FORCE'], ['RETRYCOUNT', '4'], ['IDLE', '0', 'JUSTID']]);
    const who = [random.oneOf(GROUPS), random.oneOf(CONSUMERS)];
    return ['XCLAIM', key, ...who, random.oneOf(['0', '900000']), id(random), id(random), ...options];
  },
  (random, key) => {
    const options = random.oneOf([[], ['JUSTID'], ['COUNT', '2'], ['COUNT', '0']]);
    const who = [random.oneOf(GROUPS), random.oneOf(CONSUMERS)];
    return [
      'XAUTOCLAIM',
      key,
      ...who,
      random.oneOf(['0', '900000']),
      random.oneOf(['0', id(random)]),
      ...options,
    ];
  },
  (_, key) => ['TYPE', key],
  (_, key) => ['DEL', key],
  (_, key) => ['SET', `${key}:text`, 'x'],
  (_, key) => ['XADD', `${key}:text`, '1-1', 'f', 'v'],
];

function idle(random: Random): string[] {
  return random.oneOf([[], [], ['IDLE', '0'], ['IDLE', '900000'], ['IDLE', 'x']]);
}

/** Idle times differ between two machines; what they are told of does not. */
function comparable(name: string, args: readonly string[], reply: Reply): unknown {
  if (name !== 'XPENDING' || args.length <= 2 || !Array.isArray(reply)) return reply;
  return (reply as Reply[][]).map(([entry, consumer, , deliveries]) => [entry, consumer, deliveries]);
}

it(
  `answer ${COMMANDS} random commands like a real server (seed ${SEED})`,
  async () => {
    const random = createRandom(SEED);
    const { url } = await shared('standalone');
    const real = createRedis({ url, timeout: '10s' }, {});
    const embedded = createClient(resolveConnection('drift', { topology: 'embedded' }, []));
    const history: string[] = [];
    for (let step = 0; step < COMMANDS; step += BATCH) {
      const key = `drift:${SEED}:${Math.floor(step / LIFE)}`;
      const commands = Array.from({ length: BATCH }, () => random.oneOf(SHAPES)(random, key));
      const calls = commands.map(([name, ...args]) => ({ name, args }));
      const [theirs, ours] = await Promise.all([real.adapter.port.pipeline(calls), embedded.pipeline(calls)]);
      for (const [i, [name, ...args]] of commands.entries()) {
        const [expected, actual] = [theirs[i], ours[i]].map((result) => {
          if (result === undefined) return 'nothing';
          if (result.ok) return comparable(name, args, result.value);
          return isRedisModuleError(result.error) ? result.error.message : String(result.error);
        });
        history.push([name, ...args].join(' '));
        const told = `seed ${SEED}\n${history.slice(-12).join('\n')}`;
        expect(actual, told).toEqual(expected);
      }
    }
    await embedded.disconnect();
    await real.disconnect();
  },
  20_000 + COMMANDS * 2,
);
