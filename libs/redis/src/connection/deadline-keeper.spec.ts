import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { DeadlineKeeper } from './deadline-keeper.js';
import { Request } from './request.js';

const TICK = 5;

/** Keeps the turns of the loop back until the test lets them come. */
class StalledClock extends FakeClock {
  readonly turns: (() => void)[] = [];

  override turn(callback: () => void): void {
    this.turns.push(callback);
  }
}

let clock: FakeClock;
let expired: string[];
let keeper: DeadlineKeeper;

beforeEach(() => {
  clock = new FakeClock();
  expired = [];
  keeper = new DeadlineKeeper(clock, TICK, (requests) => {
    for (const request of requests) {
      expired.push(`${request.name}@${clock.now()}`);
      keeper.remove(request);
    }
  });
});

function open(name: string, ms: number): Request {
  const owner = { replied: () => undefined, failed: () => undefined };
  const request = new Request(owner, name, [], { resolve: () => undefined, reject: () => undefined });
  request.deadlineAt = clock.now() + ms;
  keeper.add(request);
  return request;
}

describe('DeadlineKeeper', () => {
  it('finds each request within a tick of its deadline, whatever the order they came in', () => {
    open('late', 40);
    open('early', 8);
    open('middle', 23);
    clock.advance(50);
    expect(expired).toEqual(['early@10', 'middle@25', 'late@40']);
    expect(keeper.size).toBe(0);
  });

  it('leaves alone what was removed, from any place in the list', () => {
    const requests = ['a', 'b', 'c', 'd'].map((name) => open(name, 10));
    const [a, b, , d] = requests;
    for (const request of [b, d, a]) if (request !== undefined) keeper.remove(request);
    expect(keeper.drain().map(({ name }) => name)).toEqual(['c']);
    clock.advance(20);
    expect(expired).toEqual(['c@10']);
  });

  it('may be told to remove the same request twice', () => {
    const a = open('a', 10);
    open('b', 10);
    keeper.remove(a);
    keeper.remove(a);
    expect(keeper.size).toBe(1);
    expect(keeper.drain().map(({ name }) => name)).toEqual(['b']);
  });

  it('lets the answers be read that came during a stall', () => {
    const stalled = new StalledClock();
    const judged: string[] = [];
    clock = stalled;
    keeper = new DeadlineKeeper(stalled, TICK, (requests) =>
      judged.push(...requests.map(({ name }) => name)),
    );
    const answered = open('answered', 10);
    open('silent', 10);
    stalled.advance(10);
    expect(judged).toEqual([]);
    // In the turn after the stall the first answer is read, and only then is judged.
    keeper.remove(answered);
    for (const turn of stalled.turns) turn();
    expect(judged).toEqual(['silent']);
  });

  it('runs one timer for all, which ends by itself when nothing is open', () => {
    for (let i = 0; i < 100; i += 1) open(`${i}`, 1_000 + i);
    expect(clock.pendingTimers).toBe(1);
    for (const request of keeper.drain()) keeper.remove(request);
    clock.advance(TICK);
    expect(clock.pendingTimers).toBe(0);
    open('again', 10);
    clock.advance(20);
    expect(expired).toHaveLength(1);
  });

  it('stops at once', () => {
    open('a', 10);
    keeper.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
