/** When a schedule is due, the same for every queue. */
import { parseDuration, type Duration } from '../core/index.js';
import { parseCron } from './cron.js';
import { InvalidTaskError } from './tasks.errors.js';

export interface ScheduleTimes {
  /** Wall clock milliseconds of the next time after this one. */
  readonly next: (after: number) => number;
  /** Undefined where a calendar says when. */
  readonly everyMs: number | undefined;
}

/** @throws InvalidTaskError unless it says exactly one of the two */
export function timesOf(every: Duration | undefined, cron: string | undefined): ScheduleTimes {
  if ((every === undefined) === (cron === undefined)) {
    throw new InvalidTaskError('a schedule says either `every` or `cron`');
  }
  if (cron !== undefined) {
    const parsed = parseCron(cron);
    return { next: (after) => parsed.next(after), everyMs: undefined };
  }
  const everyMs = parseDuration(every ?? 0, 'every');
  if (everyMs < 1) throw new InvalidTaskError('a schedule is due again at once: `every` is 0');
  return { next: (after) => after + everyMs, everyMs };
}
