/** The scripts of the clean-up: Lua on every topology against the twin, over random inputs. */
import { dropScript, settleValueScript, sha1 } from '@anbar/nestjs-redis/cache';
import { leftoverScript } from '@anbar/nestjs-redis/connection';
import { settleLimitScript } from '@anbar/nestjs-redis/rate-limit';
import { settleIndexScript, settleSessionScript } from '@anbar/nestjs-redis/session';
import { scriptContract, type Random } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

type Key = (name: string) => string;

const HOUR = 3_600_000;
/** Five topologies, six scripts. */
const RUNS = { runs: 60 };
const dry = (random: Random): boolean => random.integer(0, 3) === 0;
/** Well before now, or well after it, as time passes differently in two places. */
const moment = (random: Random): number => Date.now() + random.oneOf([-9, -2, 3, 8]) * HOUR;

/** Sets up one kind of thing under a key, with an expiry or without. */
function found(
  random: Random,
  key: string,
  commands: readonly (readonly [string, ...(string | number)[]])[],
) {
  const [name, ...args] = random.oneOf([
    ['SET', key, 'x'],
    ['RPUSH', key, 'x'],
    ...commands,
    ...commands,
    ...commands,
  ]) as readonly [string, ...string[]];
  const last = random.oneOf([
    [],
    [],
    [{ name: 'PEXPIRE', args: [key, 5 * HOUR] }],
    [{ name: 'DEL', args: [key] }],
  ]);
  return [{ name: 'DEL', args: [key] }, { name, args }, ...last];
}

const leftover = scriptContract(
  leftoverScript,
  (random, key: Key) => {
    const name = key('leftover');
    const args = { graceMs: random.oneOf([0, HOUR]), dryRun: dry(random) };
    return { keys: [name] as const, args, before: found(random, name, [['HSET', name, 'f', 1]]) };
  },
  RUNS,
);

const drop = scriptContract(
  dropScript,
  (random, key: Key) => {
    const name = key('generation');
    return {
      keys: [name] as const,
      args: { dryRun: dry(random) },
      before: found(random, name, [['SET', name, 'y']]),
    };
  },
  RUNS,
);

const settleValue = scriptContract(
  settleValueScript,
  (random, key: Key) => {
    const name = key('value');
    const args = {
      digest: sha1(Buffer.from(random.oneOf(['judged', 'judged', 'another']))),
      endsAt: random.oneOf([0, moment(random)]),
      anyway: dry(random),
      dryRun: dry(random),
    };
    return { keys: [name] as const, args, before: found(random, name, [['SET', name, 'judged']]) };
  },
  RUNS,
);

const settleLimit = scriptContract(
  settleLimitScript,
  (random, key: Key) => {
    const name = key('limit');
    const micros = moment(random) * 1_000;
    const minute = Math.floor(moment(random) / 60_000);
    const args = { code: random.oneOf(['g', 's', 'f', 'c', 'pg', 'ps']), dryRun: dry(random) };
    const before = found(random, name, [
      ['SET', name, micros],
      ['SET', name, `${minute} 3 4`],
      ['SET', name, `0 3 4`],
      ['SET', name, '12345678901234567'],
      ['ZADD', name, micros, 'holder', micros - 1, 'other'],
    ]);
    return { keys: [name] as const, args, before };
  },
  RUNS,
);

const settleSession = scriptContract(
  settleSessionScript,
  (random, key: Key) => {
    const [session, index] = [key('session:{u}'), key('index:{u}')];
    const fields = {
      ...(random.integer(0, 5) > 0 && { i: random.oneOf([HOUR, 100 * HOUR]) }),
      a: random.oneOf([0, moment(random)]),
      ...(random.integer(0, 5) > 0 && { t: moment(random) }),
      x: random.oneOf([0, 1, 1]),
      ...(random.integer(0, 3) === 0 && { r: random.oneOf(['next', '']) }),
    };
    const before = [
      ...found(random, session, [['HSET', session, ...Object.entries(fields).flat()]]),
      ...found(random, index, [
        ['ZADD', index, 1, 'member'],
        ['ZADD', index, 1, 'another'],
      ]),
    ];
    return { keys: [session, index] as const, args: { member: 'member', dryRun: dry(random) }, before };
  },
  RUNS,
);

const settleIndex = scriptContract(
  settleIndexScript,
  (random, key: Key) => {
    const index = key('user:{u}');
    const handles = random.oneOf([['a'], ['a', 'b'], ['a', 'b', 'c'], []]);
    const sessions = ['a', 'b', 'c'].map((handle) => key(`kept:{u}:${handle}`));
    const listed = random.oneOf([['a'], ['a', 'b'], ['b', 'c', 'd'], ['d']]);
    const before = [
      ...found(random, index, [
        ['ZADD', index, ...listed.flatMap((handle) => [Date.now() + random.integer(2, 9) * HOUR, handle])],
      ]),
      ...sessions.map((name) =>
        random.oneOf([
          { name: 'SET', args: [name, 1] },
          { name: 'DEL', args: [name] },
        ]),
      ),
    ];
    const keys: readonly string[] = [index, ...sessions.slice(0, handles.length)];
    return { keys, args: { handles, dryRun: dry(random) }, before };
  },
  RUNS,
);

runEverywhere(
  [leftover, drop, settleValue, settleLimit, settleSession, settleIndex],
  (redis) => redis.adapter.port,
);
