import { expect, it } from 'vitest';
import { SingleFlight } from './single-flight.js';

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

it('runs once for all who ask meanwhile, and anew for those who ask later', async () => {
  const flights = new SingleFlight<number>();
  let runs = 0;
  const first = deferred<number>();
  const work = (): Promise<number> => {
    runs += 1;
    return runs === 1 ? first.promise : Promise.resolve(runs);
  };
  const asked = Array.from({ length: 100 }, () => flights.run('k', work));
  expect(flights.size).toBe(1);
  first.resolve(7);
  expect(new Set(await Promise.all(asked))).toEqual(new Set([7]));
  expect(flights.size).toBe(0);
  expect(await flights.run('k', work)).toBe(2);
});

it('keeps keys apart', async () => {
  const flights = new SingleFlight<string>();
  const run = (key: string) => flights.run(key, () => Promise.resolve(`of ${key}`));
  expect(await Promise.all([run('a'), run('b'), run('a')])).toEqual(['of a', 'of b', 'of a']);
});

it('shares a failure once and does not run again for those who waited', async () => {
  const flights = new SingleFlight<number>();
  let runs = 0;
  const fail = (): Promise<number> => {
    runs += 1;
    throw new Error('broken before the first await');
  };
  const outcomes = await Promise.allSettled([flights.run('k', fail), flights.run('k', fail)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(runs).toBe(1);
  expect(flights.size).toBe(0);
});

it('after forget lets a new run in, and the old one does not clear its place', async () => {
  const flights = new SingleFlight<string>();
  const [old, fresh] = [deferred<string>(), deferred<string>()];
  const first = flights.run('k', () => old.promise);
  flights.forget('k');
  const second = flights.run('k', () => fresh.promise);
  old.resolve('old');
  expect(await first).toBe('old');
  expect(flights.size).toBe(1);
  const joined = flights.run('k', () => Promise.reject(new Error('must join')));
  fresh.resolve('fresh');
  expect(await Promise.all([second, joined])).toEqual(['fresh', 'fresh']);
});
