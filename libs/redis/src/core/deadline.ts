/**
 * A point in time by which a call has to have settled, joined with the caller's own `AbortSignal`.
 *
 * A timer that fires is not yet a timeout: when the event loop was busy for longer than the deadline, the
 * answer may lie unread in the socket. So one more turn of the loop is given before a timeout is believed.
 */
import { abortReason, systemClock, type Clock } from './clock.js';
import { RedisModuleError } from './error.js';

export class DeadlineExceededError extends RedisModuleError {
  readonly code = 'DEADLINE_EXCEEDED';
}

export interface DeadlineOptions {
  /** Milliseconds from now; `Infinity` for none. */
  timeoutMs: number;
  /** What the error names, for example `'connect'`. */
  what: string;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
  /** Builds the rejection; by default a {@link DeadlineExceededError}. */
  onTimeout?: (() => Error) | undefined;
}

/** Settles with `work`, or rejects when the time is up or the signal aborts, whichever comes first. */
export function withDeadline<T>(
  work: Promise<T> | ((signal: AbortSignal) => Promise<T>),
  options: DeadlineOptions,
): Promise<T> {
  const { timeoutMs, signal, clock = systemClock } = options;
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    let settled = false;
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
      finish();
    };
    const fail = (error: Error): void =>
      settle(() => {
        reject(error);
        controller.abort(error);
      });
    const onAbort = (): void => {
      if (signal !== undefined) fail(abortReason(signal));
    };
    const expire = (): void => clock.turn(() => fail(options.onTimeout?.() ?? timedOut(options)));
    const timer = Number.isFinite(timeoutMs)
      ? clock.after(timeoutMs, expire, { keepAlive: true })
      : undefined;

    if (signal?.aborted === true) {
      onAbort();
      return;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    const running = typeof work === 'function' ? startSafely(work, controller.signal) : work;
    running.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

async function startSafely<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return work(signal);
}

function timedOut(options: DeadlineOptions): DeadlineExceededError {
  return new DeadlineExceededError(`${options.what}: no answer within ${options.timeoutMs} ms`, {
    hint: 'the work may still be running; raise the timeout if it is meant to take this long',
    details: { timeoutMs: options.timeoutMs },
  });
}
