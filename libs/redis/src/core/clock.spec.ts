import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { abortReason, sleep, systemClock } from './clock.js';

describe('systemClock', () => {
  it('never goes back, and tells the time of day apart from it', () => {
    const first = systemClock.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(first);
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(1_000);
  });

  it('calls back once, and not after it was cancelled', async () => {
    const seen: string[] = [];
    systemClock.after(1, () => seen.push('cancelled')).cancel();
    await new Promise<void>((resolve) => systemClock.after(5, resolve, { keepAlive: true }));
    await new Promise<void>((resolve) => systemClock.turn(resolve));
    expect(seen).toEqual([]);
  });

  it('waits longer than a timer of Node can: thirty days are not a millisecond', async () => {
    let early = false;
    const timer = systemClock.after(30 * 86_400_000, () => {
      early = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    timer.cancel();
    expect(early).toBe(false);
  });

  it('lets the process end under a timer that is not asked to keep it', () => {
    const holding = (): number =>
      process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const before = holding();
    const idle = systemClock.after(60_000, () => undefined);
    expect(holding()).toBe(before);
    const needed = systemClock.after(60_000, () => undefined, { keepAlive: true });
    expect(holding()).toBe(before + 1);
    idle.cancel();
    needed.cancel();
    expect(holding()).toBe(before);
  });
});

describe('sleep', () => {
  it('ends when the time has passed', async () => {
    const clock = new FakeClock();
    let awake = false;
    const asleep = sleep(20, { clock }).then(() => (awake = true));
    await clock.advanceAsync(19);
    expect(awake).toBe(false);
    await clock.advanceAsync(1);
    await asleep;
    expect(awake).toBe(true);
  });

  it('ends at once with the reason of the signal, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const stop = new Error('enough');
    const asleep = sleep(20, { clock, signal: controller.signal });
    controller.abort(stop);
    await expect(asleep).rejects.toBe(stop);
    await expect(sleep(20, { clock, signal: controller.signal })).rejects.toBe(stop);
    expect(clock.pendingTimers).toBe(0);
  });

  it('stops following a signal it no longer needs', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const asleep = sleep(5, { clock, signal: controller.signal });
    await clock.advanceAsync(5);
    await asleep;
    controller.abort(new Error('too late to matter'));
    await expect(asleep).resolves.toBeUndefined();
  });
});

describe('abortReason', () => {
  it('is an Error, whatever the signal was given', () => {
    const error = new Error('mine');
    expect(abortReason(AbortSignal.abort(error))).toBe(error);
    expect(abortReason(AbortSignal.abort('text')).message).toBe('aborted: text');
    expect(abortReason(AbortSignal.abort()).name).toBe('AbortError');
  });
});
