/** The scripts of the adapter: Lua on every topology against the twin, over random inputs. */
import { hashSetScript, incrementScript } from '@anbar/nestjs-redis/connection';
import { scriptContract, type Random } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

type Key = (name: string) => string;

/** What others may have done to a key before the script meets it. */
function meanwhile(random: Random, key: string) {
  const value = random.oneOf(['0', '12', '-7', 'abc', '1.5', '', ' 1', '007']);
  return random.oneOf([
    [],
    [],
    [],
    [{ name: 'SET', args: [key, value] }],
    [{ name: 'SET', args: [key, value, 'EX', 500] }],
    [{ name: 'DEL', args: [key] }],
    [{ name: 'PERSIST', args: [key] }],
    [{ name: 'EXPIRE', args: [key, 700] }],
    [
      { name: 'DEL', args: [key] },
      { name: 'HSET', args: [key, 'f', '1', 'g', '2'] },
    ],
    [
      { name: 'DEL', args: [key] },
      { name: 'RPUSH', args: [key, 'x'] },
    ],
  ]);
}

const ttlMs = (random: Random): number => random.integer(60, 6_000) * 1_000;
const oneOfThree = (random: Random, key: Key): string => key(`${random.integer(1, 3)}`);

const increment = scriptContract(incrementScript, (random, key: Key) => {
  const name = oneOfThree(random, key);
  const amount = random.oneOf([1, -1, 0, 5, 1_000_000, 2 ** 40, -(2 ** 40), 2 ** 63, 1.5, NaN]);
  return { keys: [name] as const, args: { amount, ttlMs: ttlMs(random) }, before: meanwhile(random, name) };
});

const FIELDS = ['a', 'b', 'c', '__proto__', '', 'نام', 'two words'] as const;
const VALUES = ['1', '', 'null', '"text"', '{"deep":[1]}', '\r\n', 'цена'] as const;

const hashSet = scriptContract(hashSetScript, (random, key: Key) => {
  const name = oneOfThree(random, key);
  const pairs = random.listOf([1, 5], () => [random.oneOf(FIELDS), random.oneOf(VALUES)]);
  const args = { fields: pairs.flat(), ttlMs: ttlMs(random) };
  return { keys: [name] as const, args, before: meanwhile(random, name) };
});

runEverywhere([increment, hashSet], (redis) => redis.adapter.port);
