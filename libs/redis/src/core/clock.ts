/**
 * Time as the engines see it. Nothing in this package reads `Date.now()` to measure: a wall clock jumps, and
 * breakers and deadlines that trust it stay open for as long as it jumped. Tests hand in a fake.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an unspecified start; only differences mean anything. */
  now(): number;
  /** Milliseconds since 1970, for stamps that leave the process. Never for measuring. */
  wallNow(): number;
  /** Calls back once after `ms`. The timer does not keep the process alive unless `keepAlive` is given. */
  after(ms: number, callback: () => void, options?: { keepAlive?: boolean }): Timer;
  /** Lets one turn of the event loop pass, so that what already arrived can be read. */
  turn(callback: () => void): void;
}

/** A longer `setTimeout` fires at once: Node keeps the delay in 31 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(ms, callback, options) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMER_MS);
      timer = setTimeout(() => (left > step ? arm(left - step) : callback()), step);
      if (options?.keepAlive !== true) timer.unref();
    };
    arm(ms);
    return { cancel: () => clearTimeout(timer) };
  },
  turn(callback) {
    setImmediate(callback);
  },
};

export interface SleepOptions {
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
  /** `false` for work in the background, which must not hold the process up. @default true */
  keepAlive?: boolean;
}

/** A promise for the passing of time; it rejects with the signal's reason when aborted. */
export function sleep(ms: number, options: SleepOptions = {}): Promise<void> {
  const { clock = systemClock, signal, keepAlive = true } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      if (signal !== undefined) reject(abortReason(signal));
    };
    const onTime = (): void => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    };
    const timer = clock.after(ms, onTime, { keepAlive });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** What an aborted signal says, always as an Error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`);
}
