import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { CircuitBreaker, REFUSED, type BreakerChange } from './circuit-breaker.js';
import { resolveBreaker, type BreakerOptions } from './circuit-breaker.options.js';

const HOUR = 3_600_000;

function breakerWith(options: BreakerOptions = {}) {
  const clock = new FakeClock({ startMs: 12_345 });
  const changes: BreakerChange[] = [];
  const breaker = new CircuitBreaker(resolveBreaker(options), {
    clock,
    random: () => 0.5,
    onChange: (change) => changes.push(change),
  });
  return { clock, changes, breaker };
}

function fail(breaker: CircuitBreaker, times = 1): void {
  for (let call = 0; call < times; call += 1) breaker.failure(breaker.acquire());
}

function succeed(breaker: CircuitBreaker, times = 1, durationMs = 1): void {
  for (let call = 0; call < times; call += 1) breaker.success(breaker.acquire(), durationMs);
}

/** Not in a row: a success comes after every third failure. */
function failNowAndThen(breaker: CircuitBreaker, times: number): void {
  for (let call = 0; call < times; call += 1) {
    fail(breaker);
    if (call % 3 === 2) succeed(breaker);
  }
}

describe('opening', () => {
  it('opens after five failures in a row, and not before', () => {
    const { breaker, changes } = breakerWith();
    fail(breaker, 4);
    succeed(breaker);
    fail(breaker, 4);
    expect(breaker.state).toBe('closed');
    fail(breaker);
    expect(breaker.state).toBe('open');
    expect(breaker.acquire()).toBe(REFUSED);
    expect(changes).toEqual([{ from: 'closed', to: 'open', reason: '5 failures in a row' }]);
  });

  it('opens on the share of failures, once there are enough calls', () => {
    const { breaker } = breakerWith({ consecutiveFailures: 1_000 });
    succeed(breaker, 10);
    fail(breaker, 9);
    expect(breaker.state).toBe('closed');
    fail(breaker);
    expect(breaker.state).toBe('open');
    expect(breaker.reason).toBe('10 of 20 calls failed');
  });

  it('stays closed just below the share', () => {
    const { breaker } = breakerWith({ consecutiveFailures: 1_000 });
    succeed(breaker, 101);
    fail(breaker, 100);
    expect(breaker.state).toBe('closed');
    fail(breaker, 1);
    expect(breaker.state).toBe('open');
  });

  it('opens on the share of slow calls', () => {
    const { breaker } = breakerWith({ slowCall: '100ms' });
    succeed(breaker, 4, 100);
    succeed(breaker, 15, 101);
    expect(breaker.state).toBe('closed');
    succeed(breaker, 1, 101);
    expect(breaker.reason).toBe('16 of 20 calls were slow');
  });

  it('takes no call for slow unless told what slow is', () => {
    const { breaker } = breakerWith();
    succeed(breaker, 1_000, HOUR);
    expect(breaker.state).toBe('closed');
  });

  it('opens at once when it is tripped', () => {
    const { breaker, clock } = breakerWith();
    breaker.trip('the socket was closed');
    expect(breaker.state).toBe('open');
    expect(breaker.reason).toBe('the socket was closed');
    expect(breaker.opensUntil).toBe(clock.now() + 375);
  });

  it('leaves an open one as it is when it is tripped again', () => {
    const { breaker, clock, changes } = breakerWith();
    breaker.trip('the socket was closed');
    const until = breaker.opensUntil;
    clock.advance(10);
    breaker.trip('the socket was closed again');
    expect(breaker.opensUntil).toBe(until);
    expect(changes).toHaveLength(1);
  });
});

describe('recovering', () => {
  it('lets probes through when the open time is over, and closes when all have answered', () => {
    const { breaker, clock, changes } = breakerWith();
    fail(breaker, 5);
    clock.advance(374);
    expect(breaker.acquire()).toBe(REFUSED);
    clock.advance(1);
    succeed(breaker, 2);
    expect(breaker.state).toBe('half-open');
    succeed(breaker);
    expect(breaker.state).toBe('closed');
    expect(changes.map(({ to }) => to)).toEqual(['open', 'half-open', 'closed']);
  });

  it('is half-open at once when a new connection is ready', () => {
    const { breaker } = breakerWith();
    breaker.trip('the socket was closed');
    breaker.halfOpen();
    expect(breaker.state).toBe('half-open');
    succeed(breaker, 3);
    expect(breaker.state).toBe('closed');
  });

  it('does not open a closed one because a connection is ready', () => {
    const { breaker } = breakerWith();
    breaker.halfOpen();
    expect(breaker.state).toBe('closed');
  });

  it('opens for twice as long with each probe that fails, up to the longest', () => {
    const { breaker, clock } = breakerWith({ openFor: '500ms', maxOpenFor: '3s' });
    const spans: number[] = [];
    fail(breaker, 5);
    for (let round = 0; round < 5; round += 1) {
      spans.push((breaker.opensUntil ?? 0) - clock.now());
      clock.advance(3_000);
      fail(breaker);
    }
    expect(spans).toEqual([375, 750, 1_500, 2_250, 2_250]);
  });

  it('opens for the first time span again after it was closed', () => {
    const { breaker, clock } = breakerWith();
    fail(breaker, 5);
    clock.advance(HOUR);
    fail(breaker);
    clock.advance(HOUR);
    succeed(breaker, 3);
    fail(breaker, 5);
    expect((breaker.opensUntil ?? 0) - clock.now()).toBe(375);
  });

  it('takes a slow probe for a failed one', () => {
    const { breaker } = breakerWith({ slowCall: '100ms' });
    breaker.trip('test');
    breaker.halfOpen();
    succeed(breaker, 1, 101);
    expect(breaker.state).toBe('open');
    expect(breaker.reason).toBe('a probe was slow');
  });

  it('asks for no more successes to close than for failures to open', () => {
    const { breaker } = breakerWith({ probes: 50, consecutiveFailures: 2 });
    breaker.trip('test');
    breaker.halfOpen();
    succeed(breaker, 2);
    expect(breaker.state).toBe('closed');
  });

  it('forgets a probe that never answers, and drops its answer when it comes after all', () => {
    const { breaker, clock } = breakerWith({ probes: 1, maxOpenFor: '2s' });
    breaker.trip('test');
    breaker.halfOpen();
    const hung = breaker.acquire();
    clock.advance(1_999);
    expect(breaker.acquire()).toBe(REFUSED);
    clock.advance(1);
    const next = breaker.acquire();
    expect(next).not.toBe(REFUSED);
    breaker.failure(hung);
    expect(breaker.state).toBe('half-open');
    breaker.success(next, 1);
    expect(breaker.state).toBe('closed');
  });

  it('gives the place of a probe that was given up on by its caller to the next', () => {
    const { breaker } = breakerWith({ probes: 1 });
    breaker.trip('test');
    breaker.halfOpen();
    breaker.ignore(breaker.acquire());
    expect(breaker.state).toBe('half-open');
    expect(breaker.acquire()).not.toBe(REFUSED);
  });
});

describe('by hand', () => {
  it('refuses everything while isolated, whatever happens', () => {
    const { breaker, clock } = breakerWith();
    const before = breaker.acquire();
    breaker.isolate('maintenance');
    breaker.halfOpen();
    breaker.trip('the socket was closed');
    breaker.success(before, 1);
    clock.advance(HOUR);
    expect(breaker.state).toBe('isolated');
    expect(breaker.reason).toBe('maintenance');
    expect(breaker.acquire()).toBe(REFUSED);
  });

  it('starts with a clean record after it was restored', () => {
    const { breaker, changes } = breakerWith();
    fail(breaker, 4);
    breaker.isolate();
    breaker.restore();
    fail(breaker, 4);
    expect(breaker.state).toBe('closed');
    expect(changes.map(({ to }) => to)).toEqual(['isolated', 'closed']);
  });

  it('restores only what is isolated', () => {
    const { breaker } = breakerWith();
    breaker.trip('test');
    breaker.restore();
    expect(breaker.state).toBe('open');
  });

  it('lets a listener act on a change it is told of', () => {
    const clock = new FakeClock();
    const breaker: CircuitBreaker = new CircuitBreaker(resolveBreaker(), {
      clock,
      onChange: ({ to }) => {
        if (to === 'half-open') breaker.isolate('not today');
      },
    });
    breaker.trip('test');
    clock.advance(HOUR);
    expect(breaker.acquire()).toBe(REFUSED);
    expect(breaker.state).toBe('isolated');
  });
});

describe('refusal', () => {
  it('tells why and until when', () => {
    const { breaker, clock } = breakerWith();
    breaker.trip('the socket was closed');
    clock.advance(75);
    const error = breaker.refusal('main');
    expect(error.code).toBe('CIRCUIT_OPEN');
    expect(error.message).toBe(
      'main: not called, the circuit is open (the socket was closed); next try in 300 ms',
    );
    expect(error).toMatchObject({ state: 'open', reason: 'the socket was closed', retryInMs: 300 });
  });

  it('says that it was isolated, not that it is open', () => {
    const { breaker } = breakerWith();
    breaker.isolate('maintenance');
    expect(breaker.refusal('main').message).toBe('main: not called, it is isolated (maintenance)');
    expect(breaker.refusal('main').hint).toContain('restore()');
  });

  it('says that probes are under way', () => {
    const { breaker } = breakerWith({ probes: 1 });
    breaker.trip('the socket was closed');
    breaker.halfOpen();
    breaker.acquire();
    expect(breaker.refusal('main')).toMatchObject({ state: 'half-open', retryInMs: undefined });
  });

  it('keeps passwords and commands out of its text', () => {
    const { breaker } = breakerWith();
    breaker.trip('ECONNRESET redis://bob:s3cret@cache:6379');
    expect(JSON.stringify(breaker.refusal('main'))).not.toContain('s3cret');
  });
});

describe('the six defects of other breakers', () => {
  it('clock back 1 h: opens and recovers as if the wall clock had not moved', () => {
    const { breaker, clock } = breakerWith();
    fail(breaker, 5);
    clock.jumpWall(-HOUR);
    clock.advance(374);
    expect(breaker.acquire()).toBe(REFUSED);
    clock.advance(1);
    expect(breaker.acquire()).not.toBe(REFUSED);
  });

  it('clock back 1 h: and forwards, what was counted is neither kept nor lost', () => {
    const { breaker, clock } = breakerWith();
    fail(breaker, 4);
    clock.jumpWall(24 * HOUR);
    fail(breaker);
    expect(breaker.state).toBe('open');
  });

  it('stale window: failures before a long silence do not add up with one after it', () => {
    const { breaker, clock } = breakerWith({ minimumCalls: 10, consecutiveFailures: 100 });
    fail(breaker, 9);
    clock.advance(10 * 60_000 + 4_000);
    fail(breaker);
    expect(breaker.state).toBe('closed');
  });

  it('stale window: nor do failures in a row', () => {
    const { breaker, clock } = breakerWith();
    fail(breaker, 4);
    clock.advance(10 * 60_000 + 4_000);
    fail(breaker);
    expect(breaker.state).toBe('closed');
  });

  it('stale window: calls drop out of it a tenth at a time', () => {
    const { breaker, clock } = breakerWith({ minimumCalls: 10, consecutiveFailures: 100, failureRate: 1 });
    for (let second = 0; second < 30; second += 1) {
      if (second === 1) succeed(breaker);
      fail(breaker);
      // The success of second 1 is outvoted only when its own tenth has left the window.
      if (breaker.state === 'open') expect(second).toBe(11);
      if (breaker.state === 'open') return;
      clock.advance(1_000);
    }
    expect.unreachable('a window full of failures opens it');
  });

  it('low traffic: a caller of one failing call every three seconds is protected too', () => {
    const { breaker, clock } = breakerWith();
    for (let call = 0; call < 5; call += 1) {
      fail(breaker);
      clock.advance(3_000);
    }
    expect(breaker.state).toBe('open');
  });

  it('low traffic: and one single failure does not open it', () => {
    const { breaker } = breakerWith();
    fail(breaker);
    expect(breaker.state).toBe('closed');
  });

  it('half-open callers wait: no more than three go, the others are refused on the spot', () => {
    const { breaker } = breakerWith();
    breaker.trip('test');
    breaker.halfOpen();
    const permits = Array.from({ length: 50 }, () => breaker.acquire());
    expect(permits.filter((permit) => permit !== REFUSED)).toHaveLength(3);
  });

  it('late results: failures begun before the outage do not open it again after the recovery', () => {
    const { breaker } = breakerWith();
    const begunBefore = Array.from({ length: 50 }, () => breaker.acquire());
    breaker.trip('the socket was closed');
    breaker.halfOpen();
    succeed(breaker, 3);
    for (const permit of begunBefore) breaker.failure(permit);
    expect(breaker.state).toBe('closed');
  });

  it('late results: nor do successes begun before it pass for probes', () => {
    const { breaker } = breakerWith();
    const begunBefore = Array.from({ length: 50 }, () => breaker.acquire());
    breaker.trip('the socket was closed');
    breaker.halfOpen();
    for (const permit of begunBefore) breaker.success(permit, 1);
    expect(breaker.state).toBe('half-open');
  });

  it('late results: nor does a probe of the round before speak for one of this round', () => {
    const { breaker, clock } = breakerWith();
    breaker.trip('test');
    breaker.halfOpen();
    const [first, second] = [breaker.acquire(), breaker.acquire()];
    breaker.failure(first);
    clock.advance(HOUR);
    const third = breaker.acquire();
    breaker.failure(second);
    expect(breaker.state).toBe('half-open');
    breaker.failure(third);
    expect(breaker.state).toBe('open');
  });

  it('caller aborts: any number of callers who hang up leave it closed', () => {
    const { breaker } = breakerWith();
    for (let call = 0; call < 1_000; call += 1) breaker.ignore(breaker.acquire());
    failNowAndThen(breaker, 9);
    expect(breaker.state).toBe('closed');
  });

  // The sixth, a shared abort, is about who owns the signal: see policy.spec.ts.
});

it('takes a refusal handed back by mistake for nothing', () => {
  const { breaker } = breakerWith();
  fail(breaker, 5);
  breaker.halfOpen();
  for (let call = 0; call < 10; call += 1) breaker.success(REFUSED, 1);
  expect(breaker.state).toBe('half-open');
});
