import { describe, expect, it } from 'vitest';
import { LoadAbort } from './load-abort.js';

describe('LoadAbort', () => {
  it('aborts a signal that was looked at before, and one that is looked at after', () => {
    const before = new LoadAbort();
    const { signal } = before;
    expect(signal.aborted).toBe(false);
    const reason = new Error('enough');
    before.abandon(reason);
    expect([signal.aborted, signal.reason, before.signal]).toEqual([true, reason, signal]);

    const after = new LoadAbort();
    after.abandon(reason);
    expect([after.signal.aborted, after.signal.reason]).toEqual([true, reason]);
  });

  it('tells once, at once when it is over already, and the first reason stays', () => {
    const abort = new LoadAbort();
    const told: unknown[] = [];
    abort.onEnd((reason) => told.push(reason));
    const [first, second] = [new Error('first'), new Error('second')];
    abort.expire(first);
    abort.abandon(second);
    abort.onEnd((reason) => told.push(reason));
    expect(told).toEqual([first, first]);
    expect(abort.signal.reason).toBe(first);
  });

  it('running out of time is not being abandoned', () => {
    const [late, left] = [new LoadAbort(), new LoadAbort()];
    late.expire(new Error('late'));
    late.abandon(new Error('left after that'));
    left.abandon(new Error('left'));
    expect([late.abandoned, left.abandoned]).toEqual([false, true]);
    expect([late.ended, left.ended, new LoadAbort().ended]).toEqual([true, true, false]);
  });
});
