/** Waits for a condition by asking it again and again: tests wait for facts, never for a length of time. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** What is awaited, for the error: "cluster_state:ok on all nodes". */
  readonly what: string;
  /** Milliseconds after which the wait fails. @default 10000 */
  readonly timeout?: number;
  /** Milliseconds between two questions. @default 10 */
  readonly every?: number;
}

/** Resolves with the first value that is neither `undefined` nor `false`. A throwing question counts as "not yet". */
export async function until<T>(
  question: () => T | Promise<T>,
  { what, timeout = 10_000, every = 10 }: UntilOptions,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + timeout;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await question();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, false | undefined>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`Waited ${timeout} ms in vain for ${what}`, { cause });
    await sleep(every);
  }
}
