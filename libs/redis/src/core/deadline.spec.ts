import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { withDeadline } from './deadline.js';

const never = (): Promise<never> => new Promise(() => undefined);

/** Ends as soon as somebody else does: what a promise has come to, without waiting for it. */
async function state(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise.catch((error: unknown) => error), Promise.resolve('pending')]);
}

describe('withDeadline', () => {
  it('gives the outcome of the work and leaves no timer behind', async () => {
    const clock = new FakeClock();
    const options = { timeoutMs: 50, what: 'work', clock };
    await expect(withDeadline(Promise.resolve(1), options)).resolves.toBe(1);
    await expect(withDeadline(() => Promise.reject(new Error('broken')), options)).rejects.toThrow('broken');
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects when the time is up, naming what and how long', async () => {
    const clock = new FakeClock();
    const call = withDeadline(never(), { timeoutMs: 50, what: 'connect', clock });
    const outcome = call.catch((error: unknown) => error);
    clock.advance(49);
    expect(await state(outcome)).toBe('pending');
    clock.advance(1);
    expect(await outcome).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'connect: no answer within 50 ms',
      details: { timeoutMs: 50 },
    });
  });

  it('gives one more turn of the loop before it believes in a timeout', async () => {
    const turns: (() => void)[] = [];
    const timers: (() => void)[] = [];
    const stalled = {
      now: () => 0,
      wallNow: () => 0,
      after: (_ms: number, callback: () => void) => {
        timers.push(callback);
        return { cancel: () => undefined };
      },
      turn: (callback: () => void) => void turns.push(callback),
    };
    let answer: (value: string) => void = () => undefined;
    const work = new Promise<string>((resolve) => (answer = resolve));
    const call = withDeadline(work, { timeoutMs: 50, what: 'read', clock: stalled });
    // The loop was busy: the timer is due, and the answer lies in the socket.
    timers.forEach((fire) => fire());
    expect(await state(call)).toBe('pending');
    answer('it was there all along');
    await call;
    turns.forEach((turn) => turn());
    await expect(call).resolves.toBe('it was there all along');
  });

  it('with the real clock, an answer that lies in the socket after a stall counts', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect(Number(Reflect.get(Object(server.address()), 'port')), '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [Socket];
    const answer = once(client, 'data').then(([bytes]) => String(bytes));
    const call = withDeadline(answer, { timeoutMs: 5, what: 'read' });
    peer.write('in time');
    const end = performance.now() + 30;
    while (performance.now() < end);
    await expect(call).resolves.toBe('in time');
    client.destroy();
    server.close();
  });

  it('ends with the reason of the signal, and tells the work', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    let heard: AbortSignal | undefined;
    const call = withDeadline(
      (signal) => {
        heard = signal;
        return never();
      },
      { timeoutMs: 50, what: 'work', clock, signal: controller.signal },
    );
    const stop = new Error('enough');
    controller.abort(stop);
    await expect(call).rejects.toBe(stop);
    expect(heard?.reason).toBe(stop);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not begin when the signal is aborted already', async () => {
    let begun = false;
    const work = (): Promise<void> => {
      begun = true;
      return Promise.resolve();
    };
    const signal = AbortSignal.abort('as text');
    const call = withDeadline(work, { timeoutMs: Infinity, what: 'work', signal });
    await expect(call).rejects.toThrow('aborted: as text');
    expect(begun).toBe(false);
  });

  it('tells the work that its time is up', async () => {
    const clock = new FakeClock();
    let heard: AbortSignal | undefined;
    const work = (signal: AbortSignal): Promise<never> => {
      heard = signal;
      return never();
    };
    const call = withDeadline(work, {
      timeoutMs: 10,
      what: 'work',
      clock,
      onTimeout: () => new Error('mine'),
    });
    const outcome = call.catch((error: unknown) => error);
    clock.advance(10);
    expect(await outcome).toMatchObject({ message: 'mine' });
    expect(heard?.aborted).toBe(true);
  });

  it('without an end sets no timer', async () => {
    const clock = new FakeClock();
    const call = withDeadline(Promise.resolve(1), { timeoutMs: Infinity, what: 'work', clock });
    expect(clock.pendingTimers).toBe(0);
    await call;
  });

  it('takes a throw before the first await for a rejection', async () => {
    const work = (): Promise<never> => {
      throw new Error('at once');
    };
    await expect(withDeadline(work, { timeoutMs: 10, what: 'work' })).rejects.toThrow('at once');
  });
});
