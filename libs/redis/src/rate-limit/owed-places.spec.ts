/** What Redis does not take back, being away, is offered again: how often, for how long, how much of it. */
import { expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import {
  createClient,
  NotConnectedError,
  PassingClient,
  resolveConnection,
  type Script,
} from '../connection/index.js';
import { OwedPlaces, type Debt } from './owed-places.js';

class Redis extends PassingClient {
  isAway = false;
  /** How many places each call has brought back, or tried to. */
  readonly offered: number[] = [];

  override async run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
  ): Promise<Result> {
    this.offered.push((args as { holders: readonly string[] }).holders.length);
    if (this.isAway) throw new NotConnectedError('it is away');
    return super.run(script, keys, args);
  }
}

function open() {
  const clock = new FakeClock();
  const client = new Redis(createClient(resolveConnection('owed', { topology: 'embedded' }, [])));
  onTestFinished(() => client.disconnect());
  const owed = new OwedPlaces(clock);
  const debt = (holder: string, isInDoubt = false): Debt => ({
    client,
    key: 'hall',
    holder,
    untilMs: clock.now() + 5_000,
    isInDoubt,
  });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, client, owed, debt, pass };
}

it('is offered every second until it is taken, in one call for a key', async () => {
  const { client, owed, debt, pass } = open();
  await client.command('ZADD', ['hall', 9, 'a', 9, 'b']);
  client.isAway = true;
  for (const holder of ['a', 'b']) await owed.giveBack([debt(holder)]);
  expect([owed.size, client.offered]).toEqual([2, [1, 1]]);
  await pass(1_000);
  client.isAway = false;
  await pass(1_000);
  expect([owed.size, client.offered.slice(2)]).toEqual([0, [2, 2]]);
  expect(await client.command('ZCARD', ['hall'])).toBe(0);
});

it('is given up when it has fallen free by itself', async () => {
  const { clock, client, owed, debt, pass } = open();
  client.isAway = true;
  await owed.giveBack([debt('a')]);
  for (let second = 0; second < 8; second += 1) await pass(1_000);
  expect([owed.size, clock.pendingTimers, client.offered.length]).toEqual([0, 0, 6]);
});

it('is offered once more where nobody knows whether it was taken, and was not there yet', async () => {
  const { clock, client, owed, debt, pass } = open();
  await owed.giveBack([debt('late', true)]);
  await client.command('ZADD', ['hall', 9, 'late']);
  await pass(1_000);
  expect(await client.command('ZCARD', ['hall'])).toBe(0);
  await owed.giveBack([debt('never', true)]);
  for (let second = 0; second < 3; second += 1) await pass(1_000);
  expect([owed.size, clock.pendingTimers, client.offered.length]).toEqual([0, 0, 4]);
});

it('is bounded, and goes in calls that do not hold the server up', async () => {
  const { client, owed, debt, pass } = open();
  client.isAway = true;
  await owed.giveBack(Array.from({ length: 10_500 }, (_, i) => debt(`h${i}`)));
  expect(owed.size).toBe(10_000);
  client.offered.length = 0;
  await pass(1_000);
  expect([client.offered.length, Math.max(...client.offered)]).toEqual([20, 500]);
});

it('is offered once more at the end, and no more after it', async () => {
  const { clock, client, owed, debt } = open();
  client.isAway = true;
  await owed.giveBack([debt('a')]);
  await owed.close();
  expect([owed.size, clock.pendingTimers, client.offered.length]).toEqual([0, 0, 2]);
});
