import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import type { BreakerChange } from './circuit-breaker.js';
import { Policy, type Attempt, type PolicyOptions } from './policy.js';

function policyWith(options: PolicyOptions = {}) {
  const clock = new FakeClock();
  const changes: BreakerChange[] = [];
  const policy = new Policy({
    name: 'books',
    timeout: '250ms',
    clock,
    random: () => 0.5,
    onBreakerChange: (change) => changes.push(change),
    ...options,
  });
  return { clock, policy, changes };
}

const never = (): Promise<never> => new Promise(() => {});
const failing = (): Promise<never> => Promise.reject(new Error('down'));

async function errorOf(outcome: Promise<unknown>): Promise<unknown> {
  try {
    return `answered ${String(await outcome)}`;
  } catch (error) {
    return error;
  }
}

describe('Policy', () => {
  it('answers with what the work answers', async () => {
    const { policy } = policyWith();
    expect(await policy.run(() => Promise.resolve(7))).toBe(7);
  });

  it('settles within its timeout when the work never does, and counts that as a failure', async () => {
    const { policy, clock } = policyWith({ breaker: { consecutiveFailures: 1 } });
    const outcome = errorOf(policy.run(never));
    await clock.advanceAsync(250);
    expect(await outcome).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'books: no answer within 250 ms',
    });
    expect(policy.breaker?.state).toBe('open');
    expect(clock.pendingTimers).toBe(0);
  });

  it('has one timeout for all tries together', async () => {
    const { policy, clock } = policyWith({ retry: { baseDelay: '100ms' } });
    const startedAt: number[] = [];
    const work = ({ attempt }: Attempt): Promise<never> => {
      startedAt.push(clock.now());
      return attempt === 1 ? failing() : never();
    };
    const outcome = errorOf(policy.run(work, { idempotent: true }));
    await clock.advanceAsync(250);
    expect(await outcome).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(startedAt).toEqual([0, 50]);
  });

  it('tries again only what may be done twice', async () => {
    const { policy, clock } = policyWith();
    const tries: number[] = [];
    const work = ({ attempt }: Attempt): Promise<string> => {
      tries.push(attempt);
      return attempt === 1 ? failing() : Promise.resolve('done');
    };
    expect(await errorOf(policy.run(work))).toMatchObject({ message: 'down' });
    const outcome = policy.run(work, { idempotent: true });
    await clock.advanceAsync(250);
    expect(await outcome).toBe('done');
    expect(tries).toEqual([1, 1, 2]);
  });

  it('does not begin a retry that would take longer than is left, going by what calls took', async () => {
    const { policy, clock } = policyWith({ timeout: '100ms', retry: { baseDelay: 0 } });
    const take = async (ms: number, outcome: Promise<string>): Promise<string> => {
      clock.advance(ms);
      return outcome;
    };
    await policy.run(() => take(60, Promise.resolve('ok')));
    let tries = 0;
    const slowFailure = (): Promise<string> => {
      tries += 1;
      return take(50, failing());
    };
    expect(await errorOf(policy.run(slowFailure, { idempotent: true }))).toMatchObject({ message: 'down' });
    expect(tries).toBe(1);
  });

  it('fails fast while open, says until when, and recovers', async () => {
    const { policy, clock, changes } = policyWith({ retry: false });
    for (let call = 0; call < 5; call += 1) await errorOf(policy.run(failing));
    let called = false;
    const work = async (): Promise<string> => {
      called = true;
      return 'done';
    };
    expect(await errorOf(policy.run(work))).toMatchObject({
      code: 'CIRCUIT_OPEN',
      retryInMs: 375,
      reason: '5 failures in a row',
    });
    expect(called).toBe(false);
    clock.advance(375);
    for (let call = 0; call < 3; call += 1) expect(await policy.run(work)).toBe('done');
    expect(changes.map(({ to }) => to)).toEqual(['open', 'half-open', 'closed']);
  });

  it('does not try a refusal again, and tells the failure before it', async () => {
    const notices: number[] = [];
    const { policy, clock } = policyWith({
      breaker: { consecutiveFailures: 1 },
      classify: () => ({ executed: 'no', retryable: true, counts: true }),
      onRetry: ({ attempt }) => notices.push(attempt),
    });
    // Budget for more retries than the one there may be.
    for (let call = 0; call < 50; call += 1) await policy.run(() => Promise.resolve('ok'));
    const outcome = errorOf(policy.run(failing, { idempotent: true }));
    await clock.advanceAsync(250);
    expect(await outcome).toMatchObject({ code: 'CIRCUIT_OPEN', cause: { message: 'down' } });
    expect(notices).toEqual([1]);
  });

  it('does not count what the caller of the policy says does not count', async () => {
    const { policy } = policyWith({
      breaker: { consecutiveFailures: 1 },
      classify: () => ({ executed: 'no', retryable: false, counts: false }),
    });
    await errorOf(policy.run(failing));
    expect(policy.breaker?.state).toBe('closed');
  });

  it('refuses everything while isolated', async () => {
    const { policy } = policyWith();
    policy.breaker?.isolate('maintenance');
    expect(await errorOf(policy.run(() => Promise.resolve(1)))).toMatchObject({ state: 'isolated' });
    policy.breaker?.restore();
    expect(await policy.run(() => Promise.resolve(1))).toBe(1);
  });

  it('runs without breaker, retry and timeout when they are turned off', async () => {
    const { policy, clock } = policyWith({ timeout: false, retry: false, breaker: false });
    expect(policy.breaker).toBeUndefined();
    for (let call = 0; call < 50; call += 1) {
      expect(await errorOf(policy.run(failing, { idempotent: true }))).toMatchObject({ message: 'down' });
    }
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects, and does not throw, when the work throws before it returns a promise', async () => {
    const { policy } = policyWith({ retry: false });
    const outcome = policy.run(() => {
      throw new Error('at once');
    });
    expect(await errorOf(outcome)).toMatchObject({ message: 'at once' });
  });
});

describe('the six defects of other breakers', () => {
  it('caller aborts: callers who hang up do not open it and get their own reason at once', async () => {
    const { policy } = policyWith({ breaker: { consecutiveFailures: 1 } });
    for (let call = 0; call < 3; call += 1) {
      const controller = new AbortController();
      const outcome = errorOf(policy.run(never, { signal: controller.signal, idempotent: true }));
      controller.abort(new Error('hung up'));
      expect(await outcome).toMatchObject({ message: 'hung up' });
    }
    expect(policy.breaker?.state).toBe('closed');
  });

  it('shared abort: a run that times out aborts its own work and no one else’s', async () => {
    const { policy, clock } = policyWith({ retry: false });
    const signals: AbortSignal[] = [];
    const work = ({ signal }: Attempt): Promise<never> => {
      signals.push(signal);
      return never();
    };
    const first = errorOf(policy.run(work));
    await clock.advanceAsync(100);
    const second = errorOf(policy.run(work));
    await clock.advanceAsync(150);
    expect(await first).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
    await clock.advanceAsync(100);
    expect(await second).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('shared abort: each try has a signal of its own, too', async () => {
    const { policy, clock } = policyWith();
    const signals: AbortSignal[] = [];
    const work = ({ signal, attempt }: Attempt): Promise<string> => {
      signals.push(signal);
      return attempt === 1 ? failing() : Promise.resolve('done');
    };
    const outcome = policy.run(work, { idempotent: true });
    await clock.advanceAsync(250);
    expect(await outcome).toBe('done');
    expect(signals[0]).not.toBe(signals[1]);
    expect(signals[1]?.aborted).toBe(false);
  });
});
