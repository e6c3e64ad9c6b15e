/** The scripts of the locks: Lua on every topology against the twin, over random inputs. */
import {
  leaveScript,
  releaseScript,
  renewScript,
  takeInOrderScript,
  takeScript,
} from '@anbar/nestjs-redis/lock';
import { scriptContract, type Random } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

type Key = (name: string) => string;

const CHANNEL = 'app:wake';
const TOKENS = ['a'.repeat(22), 'b'.repeat(22), 'c'.repeat(22)] as const;
const TICKETS = [
  'processA----1',
  'processA----2',
  'processB----1',
  'processB----z',
  'processC----1',
] as const;
/** Beyond the time of any server, so that the number does not depend on when it is asked. */
const LAST = 8_000_000_000_000_000;
const TTL_MS = 500_000;

function keysOf(random: Random, key: Key) {
  const tag = `{${random.integer(1, 2)}}`;
  return [key(`held:${tag}`), key(`fence:${tag}`), key(`queue:${tag}`), key(`turn:${tag}`)] as const;
}

type Keys = ReturnType<typeof keysOf>;

/** What a script may meet. The number of the last hold is always there, and what is held has no time left to tell. */
function meanwhile(random: Random, [held, fence, queue, turn]: Keys) {
  const last = String(LAST + random.integer(0, 5));
  const tickets = random.listOf([0, 3], () => random.oneOf(TICKETS));
  return [
    { name: 'HSET', args: [fence, 'n', random.oneOf([last, last, last, 'nonsense9'])] },
    ...random.oneOf([
      [],
      [{ name: 'DEL', args: [held] }],
      [{ name: 'SET', args: [held, random.oneOf(TOKENS) + last] }],
      [{ name: 'SET', args: [held, random.oneOf(TOKENS) + last, 'PX', TTL_MS] }],
    ]),
    ...tickets.map((ticket, i) => ({ name: 'ZADD', args: [queue, i - 1, ticket] })),
    ...random.oneOf([
      [],
      [{ name: 'DEL', args: [turn] }],
      [{ name: 'SET', args: [turn, random.oneOf(TICKETS), 'PX', 600_000] }],
      // Called long ago.
      [{ name: 'SET', args: [turn, random.oneOf(TICKETS), 'PX', 300_000] }],
    ]),
    { name: 'HSET', args: [fence, 'n', last] },
    { name: 'PERSIST', args: [held] },
  ];
}

const take = scriptContract(takeScript, (random, key: Key) => {
  const keys = keysOf(random, key);
  const args = { token: random.oneOf(TOKENS), ttlMs: TTL_MS };
  return { keys: [keys[0], keys[1]] as const, args, before: meanwhile(random, keys) };
});

const takeInOrder = scriptContract(
  takeInOrderScript,
  (random, key: Key) => {
    const keys = keysOf(random, key);
    const ticket = random.oneOf(TICKETS);
    const args = { token: random.oneOf(TOKENS), ttlMs: TTL_MS, ticket, channel: CHANNEL };
    return { keys, args, before: meanwhile(random, keys) };
  },
  { runs: 300 },
);

const renew = scriptContract(renewScript, (random, key: Key) => {
  const keys = keysOf(random, key);
  const args = { token: random.oneOf(TOKENS), ttlMs: TTL_MS };
  return { keys: [keys[0]] as const, args, before: meanwhile(random, keys) };
});

const release = scriptContract(releaseScript, (random, key: Key) => {
  const keys = keysOf(random, key);
  return { keys, args: { token: random.oneOf(TOKENS), channel: CHANNEL }, before: meanwhile(random, keys) };
});

const leave = scriptContract(leaveScript, (random, key: Key) => {
  const keys = keysOf(random, key);
  const args = { ticket: random.oneOf(TICKETS), channel: CHANNEL };
  return { keys: [keys[0], keys[2], keys[3]] as const, args, before: meanwhile(random, keys) };
});

runEverywhere([take, takeInOrder, renew, release, leave], (redis) => redis.adapter.port);
