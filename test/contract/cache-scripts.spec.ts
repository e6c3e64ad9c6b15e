/** The scripts of the cache: Lua on every topology against the twin, over random inputs. */
import {
  acquireScript,
  fillScript,
  hashPutScript,
  putScript,
  raiseScript,
  registerScript,
  releaseScript,
  removeScript,
  renewScript,
  sha1,
  swapScript,
  tickScript,
} from '@anbar/nestjs-redis/cache';
import { scriptContract, type Random } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

type Key = (name: string) => string;

const CHANNEL = 'app:wake';
const TOKENS = ['a'.repeat(20), 'b'.repeat(20), 'c'.repeat(20)] as const;
const BYTES = [Buffer.from([0xcb, 0, 13, 10, 255]), Buffer.from('x'), Buffer.alloc(0)] as const;

const longMs = (random: Random): number => random.integer(60, 6_000) * 1_000;
const ttlMs = (random: Random): number => (random.integer(0, 3) === 0 ? 0 : longMs(random));

function pair(random: Random, key: Key): readonly [value: string, lease: string] {
  const slot = random.integer(1, 2);
  return [key(`value:{${slot}}`), key(`lease:{${slot}}`)];
}

/** What a lease may hold when a script meets it. */
function meanwhile(random: Random, lease: string) {
  const state = random.oneOf(['+', '=', '!', '0', '?']);
  const record = `${state}${random.oneOf(TOKENS)}${random.oneOf(['', 'payload\r\n'])}`;
  return random.oneOf([
    [],
    [],
    [],
    [{ name: 'SET', args: [lease, record, 'PX', 500_000] }],
    [{ name: 'SET', args: [lease, record.slice(0, 21), 'PX', 500_000] }],
    [{ name: 'DEL', args: [lease] }],
  ]);
}

const acquire = scriptContract(acquireScript, (random, key: Key) => {
  const [, lease] = pair(random, key);
  const args = {
    token: random.oneOf(TOKENS),
    leaseMs: 100_000,
    waitedFor: random.oneOf(['', '*', ...TOKENS]),
    despite: random.oneOf(['', ...TOKENS]),
    failedSinceMs: random.oneOf([-5, 5_000]),
  };
  // The time left differs between two machines: what stands in the way always has the same.
  const before = [...meanwhile(random, lease), { name: 'PERSIST', args: [lease] }];
  return { keys: [lease] as const, args, before };
});

const renew = scriptContract(renewScript, (random, key: Key) => {
  const [, lease] = pair(random, key);
  const args = { token: random.oneOf(TOKENS), leaseMs: longMs(random) };
  return { keys: [lease] as const, args, before: meanwhile(random, lease) };
});

const fill = scriptContract(fillScript, (random, key: Key) => {
  const keys = pair(random, key);
  const args = {
    token: random.oneOf(TOKENS),
    bytes: random.oneOf(BYTES),
    ttlMs: ttlMs(random),
    keepMs: 100_000,
    channel: CHANNEL,
  };
  return { keys, args, before: meanwhile(random, keys[1]) };
});

const release = scriptContract(releaseScript, (random, key: Key) => {
  const [, lease] = pair(random, key);
  const token = random.oneOf(TOKENS);
  const record = Buffer.from(random.oneOf(['', `0${token}`, `!${token}why`]));
  const args = { token, record, keepMs: 100_000, channel: CHANNEL };
  return { keys: [lease] as const, args, before: meanwhile(random, lease) };
});

const put = scriptContract(putScript, (random, key: Key) => {
  const keys = pair(random, key);
  const args = { bytes: random.oneOf(BYTES), ttlMs: ttlMs(random), channel: CHANNEL };
  return { keys, args, before: meanwhile(random, keys[1]) };
});

const remove = scriptContract(removeScript, (random, key: Key) => {
  const keys = pair(random, key);
  const stored = random.oneOf([[], [{ name: 'SET', args: [keys[0], 'v'] }]]);
  return { keys, args: { channel: CHANNEL }, before: [...stored, ...meanwhile(random, keys[1])] };
});

const swap = scriptContract(swapScript, (random, key: Key) => {
  const [value] = pair(random, key);
  const args = { digest: sha1(random.oneOf(BYTES)), bytes: random.oneOf(BYTES), ttlMs: ttlMs(random) };
  const before = random.oneOf([[], [{ name: 'SET', args: [value, random.oneOf(BYTES)] }]]);
  return { keys: [value] as const, args, before };
});

function clockBefore(random: Random, tag: string) {
  const clock = random.oneOf(['5', '1795180583714712', '0', 'nonsense']);
  return random.oneOf([
    [],
    [],
    [{ name: 'SET', args: [tag, clock] }],
    [{ name: 'SET', args: [tag, clock, 'PX', 900_000] }],
    [{ name: 'DEL', args: [tag] }],
  ]);
}

const clock = (random: Random): number => random.oneOf([0, 4, 5, 6, 1_795_180_583_714_713]);

const raise = scriptContract(raiseScript, (random, key: Key) => {
  const tag = key(`tag:${random.integer(1, 2)}`);
  const args = { clock: clock(random), ttlMs: ttlMs(random) };
  return { keys: [tag] as const, args, before: clockBefore(random, tag) };
});

const register = scriptContract(registerScript, (random, key: Key) => {
  const tag = key(`tag:${random.integer(1, 2)}`);
  const args = { clock: clock(random), ttlMs: ttlMs(random) };
  return { keys: [tag] as const, args, before: clockBefore(random, tag) };
});

/** Ahead of any server's time, which two servers do not share. */
const AHEAD = 9_000_000_000_000_000;

const tick = scriptContract(tickScript, (random, key: Key) => {
  const name = key(`clock:${random.integer(1, 2)}`);
  const floor = random.oneOf([AHEAD, AHEAD + 5]);
  const last = random.oneOf(['5', String(AHEAD + 2), String(AHEAD + 9), 'nonsense']);
  const before = random.oneOf([[], [{ name: 'DEL', args: [name] }], [{ name: 'SET', args: [name, last] }]]);
  return { keys: [name] as const, args: { floor }, before };
});

const hashPut = scriptContract(hashPutScript, (random, key: Key) => {
  const name = key(`hash:${random.integer(1, 2)}`);
  const field = (): (string | Buffer)[] => [random.oneOf(['a', 'b', '__proto__']), random.oneOf(BYTES)];
  const args = { fields: random.listOf([1, 4], field).flat(), ttlMs: ttlMs(random) };
  const before = random.oneOf([[], [{ name: 'DEL', args: [name] }], [{ name: 'SET', args: [name, 'x'] }]]);
  return { keys: [name] as const, args, before };
});

runEverywhere(
  [acquire, renew, fill, release, put, remove, swap, tick, raise, register, hashPut],
  (redis) => redis.adapter.port,
);
