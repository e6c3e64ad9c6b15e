import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { systemClock } from '../core/index.js';
import type { Failure } from './failure.js';
import { RetryBudget } from './retry-budget.js';
import { retry, type RetryNotice, type RetryRun } from './retry.js';

const SEED = process.env['FC_SEED'];
const RUNS = { numRuns: 100, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };

const NOT_EXECUTED: Failure = { executed: 'no', retryable: true, counts: true };
const UNKNOWN: Failure = { executed: 'unknown', retryable: true, counts: true };
const HOPELESS: Failure = { executed: 'no', retryable: false, counts: false };

interface Trial {
  readonly clock: FakeClock;
  /** The number of each try and when it began. */
  readonly tries: [attempt: number, at: number][];
  readonly notices: RetryNotice[];
  /** Settles to the value or to the error's message; never rejects. */
  readonly outcome: Promise<string>;
}

/** Fails `failures` times, each try taking `takesMs`, and then answers. */
function tryOut(failures: number, given: Partial<RetryRun> & { takesMs?: number } = {}): Trial {
  const clock = new FakeClock();
  const tries: [number, number][] = [];
  const notices: RetryNotice[] = [];
  const { takesMs = 0, ...run } = given;
  const work = (attempt: number): Promise<string> => {
    tries.push([attempt, clock.now()]);
    clock.advance(takesMs);
    return attempt > failures ? Promise.resolve('done') : Promise.reject(new Error(`failure ${attempt}`));
  };
  const outcome = retry(work, {
    attempts: 3,
    backoff: () => 10,
    classify: () => NOT_EXECUTED,
    idempotent: false,
    deadlineAt: 250,
    clock,
    onRetry: (notice) => notices.push(notice),
    ...run,
  }).catch(messageOf);
  return { clock, tries, notices, outcome };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'not an error';
}

describe('retry', () => {
  it('answers with the first success', async () => {
    const trial = tryOut(2);
    await trial.clock.advanceAsync(100);
    expect(await trial.outcome).toBe('done');
    expect(trial.tries).toEqual([
      [1, 0],
      [2, 10],
      [3, 20],
    ]);
    expect(trial.notices.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [1, 10],
      [2, 10],
    ]);
  });

  it('fails with the last error when all tries are used up', async () => {
    const trial = tryOut(9);
    await trial.clock.advanceAsync(1_000);
    expect(await trial.outcome).toBe('failure 3');
    expect(trial.tries).toHaveLength(3);
  });

  it('asks the backoff with 0 before the first retry', async () => {
    const asked: number[] = [];
    const trial = tryOut(9, { backoff: (retryNumber) => asked.push(retryNumber) });
    await trial.clock.advanceAsync(1_000);
    await trial.outcome;
    expect(asked).toEqual([0, 1]);
  });

  it.each<[string, Failure, boolean, number]>([
    ['what was not executed, of any kind of call', NOT_EXECUTED, false, 3],
    ['an unknown outcome of a repeatable call', UNKNOWN, true, 3],
    ['never an unknown outcome of any other call', UNKNOWN, false, 1],
    ['never what fails the same way again', HOPELESS, true, 1],
  ])('tries again: %s', async (_what, failure, idempotent, tries) => {
    const trial = tryOut(9, { classify: () => failure, idempotent });
    await trial.clock.advanceAsync(1_000);
    await trial.outcome;
    expect(trial.tries).toHaveLength(tries);
  });

  it('does not wait past the deadline', async () => {
    const trial = tryOut(9, { deadlineAt: 250, backoff: () => 251 });
    expect(await trial.outcome).toBe('failure 1');
    expect(trial.clock.pendingTimers).toBe(0);
  });

  it('does not begin a try that cannot be answered before the deadline', async () => {
    const inTime = tryOut(9, { deadlineAt: 250, backoff: () => 100, expectedMs: 150 });
    await inTime.clock.advanceAsync(1_000);
    expect(inTime.tries).toHaveLength(2);
    const tooLate = tryOut(9, { deadlineAt: 250, backoff: () => 100, expectedMs: 151 });
    await tooLate.clock.advanceAsync(1_000);
    expect(tooLate.tries).toHaveLength(1);
  });

  it('does not begin a try when it was woken too late for it', async () => {
    const trial = tryOut(9, { deadlineAt: 250, backoff: () => 100 });
    await trial.clock.advanceAsync(0);
    // The loop was blocked: the timer that was due at 100 fires at 400.
    const late = new FakeClock({ startMs: 400 });
    trial.clock.now = () => late.now();
    trial.clock.advance(100);
    expect(await trial.outcome).toBe('failure 1');
    expect(trial.tries).toHaveLength(1);
  });

  it('takes a token for each retry and none for what it does not try again', async () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.5 }, clock);
    for (let call = 0; call < 20; call += 1) budget.onSuccess();
    const failed = tryOut(9, { budget });
    await failed.clock.advanceAsync(1_000);
    await failed.outcome;
    expect(budget.tokens).toBe(8);
    await tryOut(9, { budget, deadlineAt: 5 }).outcome;
    await tryOut(9, { budget, classify: () => HOPELESS }).outcome;
    expect(budget.tokens).toBe(8);
  });

  it('fails when the budget is used up', async () => {
    const budget = new RetryBudget({ ratio: 0.1 }, new FakeClock());
    budget.tryTake();
    const trial = tryOut(9, { budget });
    expect(await trial.outcome).toBe('failure 1');
  });

  it('tells the budget of each call once, which is what its floor goes by', async () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.1 }, clock);
    budget.tryTake();
    for (let call = 0; call < 10; call += 1) await tryOut(9, { budget }).outcome;
    clock.advance(1_000);
    expect(budget.tokens).toBe(0.5);
  });

  it('earns with each success', async () => {
    const budget = new RetryBudget({ ratio: 0.5 }, new FakeClock());
    await tryOut(0, { budget }).outcome;
    expect(budget.tokens).toBe(1.5);
  });
});

describe('a caller who aborts', () => {
  it('is not kept waiting between two tries', async () => {
    const controller = new AbortController();
    const trial = tryOut(9, { signal: controller.signal });
    await trial.clock.advanceAsync(5);
    controller.abort(new Error('hung up'));
    expect(await trial.outcome).toBe('hung up');
    await trial.clock.advanceAsync(1_000);
    expect(trial.tries).toHaveLength(1);
    expect(trial.clock.pendingTimers).toBe(0);
  });

  it('is not kept waiting by a try that never ends', async () => {
    const controller = new AbortController();
    const outcome = retry(() => new Promise<string>(() => {}), {
      attempts: 3,
      backoff: () => 0,
      classify: () => NOT_EXECUTED,
      idempotent: true,
      deadlineAt: Number.POSITIVE_INFINITY,
      clock: systemClock,
      signal: controller.signal,
    }).catch(messageOf);
    controller.abort(new Error('hung up'));
    expect(await outcome).toBe('hung up');
  });

  it('starts nothing when the caller had gone before', async () => {
    const trial = tryOut(0, { signal: AbortSignal.abort(new Error('hung up')) });
    expect(await trial.outcome).toBe('hung up');
    expect(trial.tries).toHaveLength(0);
  });
});

it('makes at most 1.1 times the calls when all fail, and never more than three for one', async () => {
  const gaps = fc.array(fc.nat(100), { minLength: 50, maxLength: 150 });
  await fc.assert(
    fc.asyncProperty(gaps, async (pauses) => {
      const clock = new FakeClock();
      const budget = new RetryBudget({ ratio: 0.1 }, clock);
      const perCall: number[] = [];
      const fail = async (call: number): Promise<never> => {
        perCall[call] = (perCall[call] ?? 0) + 1;
        throw new Error('down');
      };
      const running: Promise<unknown>[] = [];
      for (const [call, pause] of pauses.entries()) {
        const run: RetryRun = {
          attempts: 3,
          backoff: () => pause / 2,
          budget,
          classify: () => UNKNOWN,
          idempotent: true,
          deadlineAt: clock.now() + 250,
          clock,
        };
        running.push(retry(() => fail(call), run).catch(messageOf));
        await clock.advanceAsync(pause);
      }
      await clock.advanceAsync(250);
      await Promise.all(running);
      const executions = perCall.reduce((sum, tries) => sum + tries, 0);
      expect(executions / pauses.length).toBeLessThanOrEqual(1.1);
      expect(Math.max(...perCall)).toBeLessThanOrEqual(3);
    }),
    RUNS,
  );
});
