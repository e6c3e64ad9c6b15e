/** The scripts of a fleet of shards: Lua on every topology against the twin. Leases of members have times in them. */
import { acceptScript, adoptScript, learnScript, prepareScript } from '@anbar/nestjs-redis/cache';
import { scriptContract, type Random } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

const BALLOTS = ['000000000000001aa', '000000000000002aa', '000000000000002bb', '000000000000010aa'] as const;
const CHANNEL = 'app:changed';
const TOKENS = ['a'.repeat(20), 'b'.repeat(20)] as const;

const record = (random: Random, key: (name: string) => string) =>
  [key(`record:${random.integer(1, 2)}`)] as const;

const prepare = scriptContract(prepareScript, (random, key) => ({
  keys: record(random, key),
  args: { ballot: random.oneOf(BALLOTS) },
}));

const accept = scriptContract(acceptScript, (random, key) => {
  const keys = record(random, key);
  const promised = { name: 'HSET', args: [keys[0], 'p', random.oneOf(BALLOTS)] };
  const before = random.oneOf([[], [promised], [{ name: 'DEL', args: [keys[0]] }]]);
  return {
    keys,
    args: { ballot: random.oneOf(BALLOTS), value: random.oneOf(['{"epoch":1}', '{}']) },
    before,
  };
});

const learn = scriptContract(learnScript, (random, key) => {
  const keys = record(random, key);
  const accepted = { name: 'HSET', args: [keys[0], 'b', random.oneOf(BALLOTS)] };
  return {
    keys,
    args: { ballot: random.oneOf(BALLOTS), channel: CHANNEL },
    before: random.oneOf([[], [accepted]]),
  };
});

const adopt = scriptContract(adoptScript, (random, key) => {
  const slot = random.integer(1, 2);
  const keys = [key(`value:{${slot}}`), key(`lease:{${slot}}`)] as const;
  const hash = random.integer(0, 1) === 1;
  const token = random.oneOf(TOKENS);
  const content = hash ? ['a', Buffer.from([0, 255]), 'b', 'x'] : ['42'];
  const ttlMs = random.oneOf([0, 900_000]);
  const held = { name: 'SET', args: [keys[1], `+${random.oneOf(TOKENS)}`, 'PX', 500_000] };
  const gone = { name: 'DEL', args: [keys[0]] };
  const before = random.oneOf([[], [held], [held, gone], [gone]]);
  return { keys, args: { token, hash, content, ttlMs, keepMs: 100_000, channel: CHANNEL }, before };
});

runEverywhere([prepare, accept, learn, adopt], (redis) => redis.adapter.port);
