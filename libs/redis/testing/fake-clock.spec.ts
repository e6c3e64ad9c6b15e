import { describe, expect, it } from 'vitest';
import { sleep } from '../src/core/index.js';
import { FakeClock } from './fake-clock.js';

describe('FakeClock', () => {
  it('runs timers in the order they fall due, each at its own time', () => {
    const clock = new FakeClock({ startMs: 100 });
    const seen: [string, number][] = [];
    clock.after(30, () => seen.push(['late', clock.now()]));
    clock.after(10, () => {
      seen.push(['early', clock.now()]);
      clock.after(5, () => seen.push(['nested', clock.now()]));
    });
    clock.after(20, () => seen.push(['cancelled', clock.now()])).cancel();
    clock.advance(29);
    expect(seen).toEqual([
      ['early', 110],
      ['nested', 115],
    ]);
    clock.advance(1);
    expect(seen.at(-1)).toEqual(['late', 130]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('moves both clocks with time and the wall clock alone in a jump', () => {
    const clock = new FakeClock({ wallMs: 1_000_000 });
    clock.advance(500);
    clock.jumpWall(-400_000);
    expect([clock.now(), clock.wallNow()]).toEqual([500, 600_500]);
  });

  it('gives a turn after each timer, and one turn per flush', () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    clock.after(1, () => clock.turn(() => seen.push('turn')));
    clock.after(2, () => seen.push('second timer'));
    clock.advance(2);
    expect(seen).toEqual(['turn', 'second timer']);
    clock.turn(() => clock.turn(() => seen.push('the turn after')));
    clock.flush();
    expect(seen).toHaveLength(2);
    clock.flush();
    expect(seen.at(-1)).toBe('the turn after');
  });

  it('lets promises set further timers within the same stretch of time', async () => {
    const clock = new FakeClock();
    const steps: number[] = [];
    const walk = async (): Promise<void> => {
      for (let step = 0; step < 3; step += 1) {
        await sleep(10, { clock });
        steps.push(clock.now());
      }
    };
    const walking = walk();
    await clock.advanceAsync(30);
    expect(steps).toEqual([10, 20, 30]);
    await walking;
  });
});
