/** Options of the clean-up: what users write, what the engine works with, and the one way from one to the other. */
import { parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidCleanupOptionsError } from './cleanup.errors.js';

export interface CleanupOptions {
  /** So often the keys are gone through, by one process of all that share the namespace. @default '1h' */
  every?: Duration | undefined;
  /** Keys walked in a second, one server after the other; those of other applications count. @default 5_000 */
  budgetPerSecond?: number | undefined;
  /** A round trip that takes longer makes it pause, until one takes less. @default '50ms' */
  maxLatency?: Duration | undefined;
  /** Scheduled runs only tell what they would do. @default false */
  dryRun?: boolean | undefined;
  /** A run that takes longer tells how far it is, that often. @default '1m' */
  progressEvery?: Duration | undefined;
}

export interface ResolvedCleanup {
  /** Runs by itself where something schedules it. */
  readonly scheduled: boolean;
  readonly everyMs: number;
  readonly budgetPerSecond: number;
  readonly maxLatencyMs: number;
  readonly dryRun: boolean;
  readonly progressMs: number;
}

export const CLEANUP_DEFAULTS = {
  every: '1h',
  budgetPerSecond: 5_000,
  maxLatency: '50ms',
  dryRun: false,
  progressEvery: '1m',
} as const satisfies CleanupOptions;

/** Each look costs a walk through all keys. */
const SHORTEST_EVERY_MS = 1_000;

/** `false` schedules nothing; it can still be run by hand. */
export function resolveCleanup(options: CleanupOptions | false = {}): ResolvedCleanup {
  const given = options === false ? {} : options;
  const { budgetPerSecond = CLEANUP_DEFAULTS.budgetPerSecond } = given;
  if (!Number.isSafeInteger(budgetPerSecond) || budgetPerSecond < 1) {
    throw new InvalidCleanupOptionsError(
      `cleanup.budgetPerSecond: ${String(budgetPerSecond)} is not a whole number from 1`,
    );
  }
  const everyMs = parsePositiveDuration(given.every ?? CLEANUP_DEFAULTS.every, 'cleanup.every');
  if (everyMs < SHORTEST_EVERY_MS) {
    throw new InvalidCleanupOptionsError(
      `cleanup.every: '${String(given.every)}' is shorter than ${SHORTEST_EVERY_MS} ms`,
      { hint: 'it walks through all keys of the server' },
    );
  }
  const { maxLatency, progressEvery } = { ...CLEANUP_DEFAULTS, ...definedOf(given) };
  return {
    scheduled: options !== false,
    everyMs,
    budgetPerSecond,
    maxLatencyMs: parsePositiveDuration(maxLatency, 'cleanup.maxLatency'),
    dryRun: given.dryRun ?? CLEANUP_DEFAULTS.dryRun,
    progressMs: parsePositiveDuration(progressEvery, 'cleanup.progressEvery'),
  };
}

function definedOf({ maxLatency, progressEvery }: CleanupOptions): {
  maxLatency?: Duration;
  progressEvery?: Duration;
} {
  return {
    ...(maxLatency !== undefined && { maxLatency }),
    ...(progressEvery !== undefined && { progressEvery }),
  };
}
