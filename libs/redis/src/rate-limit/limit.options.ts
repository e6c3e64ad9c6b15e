/** One limit: what users write, and the whole numbers the scripts count with. */
import { parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';

/** See the chooser in docs/rate-limit.md. */
export type LimitAlgorithm = 'gcra' | 'sliding-window' | 'fixed-window' | 'concurrency';

/**
 * What happens while Redis does not answer: this process counts alone, everybody is let through, or nobody.
 */
export type OnStoreError = 'local' | 'open' | 'closed';

export interface Limit {
  /** Tells limits of one subject apart, in keys, headers and metrics: letters, digits, `_`, `-`, `.`. @default 'default' */
  name?: string | undefined;
  /** How much per window; with `'concurrency'` how many at the same time. 0 lets nothing through. */
  limit: number;
  /** A number counts seconds. @default '1m' */
  window?: Duration | undefined;
  /** `'gcra'`: how much at once after a rest. @default the `limit` */
  burst?: number | undefined;
  /** @default 'gcra' */
  algorithm?: LimitAlgorithm | undefined;
  /** Counts and reports, and denies nobody. @default false */
  shadow?: boolean | undefined;
  /** Who is denied stays denied that long. @default none */
  penalty?: Duration | undefined;
  /** @default the limiter's, `'local'` */
  onStoreError?: OnStoreError | undefined;
  /**
   * `'gcra'`: a process takes up to so many of a key that is asked for often, and spends them without asking.
   * Each process may then exceed the limit by that much. 0 for never. @default 0
   */
  lease?: number | undefined;
  /** `'concurrency'`: a place whose process died is free after that long. @default '30s' */
  hold?: Duration | undefined;
}

export interface ResolvedLimit {
  readonly name: string;
  readonly algorithm: LimitAlgorithm;
  /** Letter of the algorithm in scripts and keys. */
  readonly code: 'g' | 's' | 'f' | 'c';
  readonly limit: number;
  readonly windowMs: number;
  /** `'gcra'`: microseconds for one; otherwise the window, or how long a place is held, in milliseconds. */
  readonly unit: number;
  /** The most that can be taken at once: burst or limit. */
  readonly capacity: number;
  readonly shadow: boolean;
  /** 0 for none. */
  readonly penaltyMs: number;
  readonly onStoreError: OnStoreError;
  readonly lease: number;
  /** Two limits with the same print count alike. */
  readonly print: string;
}

export const LIMIT_DEFAULTS = {
  name: 'default',
  window: '1m',
  algorithm: 'gcra',
  onStoreError: 'local',
  hold: '30s',
} as const;

const CODES = { gcra: 'g', 'sliding-window': 's', 'fixed-window': 'f', concurrency: 'c' } as const;

/** A structured field's string, a label of a metric and a part of a key: what is plain in all three. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/u;

/** Half of what a double counts exactly; the time of day in microseconds needs the other half. */
const LARGEST = 2 ** 52;
const LARGEST_LIMIT = 1_000_000_000;
const SHORTEST_HOLD_MS = 300;

export function resolveLimit(given: Limit, onStoreError: OnStoreError = 'local'): ResolvedLimit {
  const name = nameOf(given.name ?? LIMIT_DEFAULTS.name);
  const algorithm = given.algorithm ?? LIMIT_DEFAULTS.algorithm;
  const code = CODES[algorithm] as ResolvedLimit['code'] | undefined;
  if (code === undefined) throw refused(name, 'algorithm', algorithm, Object.keys(CODES).join(', '));
  const limit = whole(name, 'limit', given.limit, LARGEST_LIMIT);
  const windowMs = parsePositiveDuration(given.window ?? LIMIT_DEFAULTS.window, `limit '${name}': window`);
  const capacity = code === 'g' ? whole(name, 'burst', given.burst ?? limit, LARGEST_LIMIT) : limit;
  if (code !== 'g' && given.burst !== undefined) throw refused(name, 'burst', given.burst, "'gcra' only");
  const unit = unitOf(code, name, { limit, windowMs, capacity, hold: given.hold });
  const penaltyMs =
    given.penalty === undefined ? 0 : parsePositiveDuration(given.penalty, `limit '${name}': penalty`);
  return {
    name,
    algorithm,
    code,
    limit,
    windowMs,
    unit,
    capacity: limit === 0 ? 0 : capacity,
    shadow: given.shadow ?? false,
    penaltyMs,
    onStoreError: policyOf(name, given.onStoreError ?? onStoreError),
    lease: leaseOf(name, given.lease ?? 0, code, capacity),
    print: `${name}|${code}|${unit}|${capacity}|${limit}|${penaltyMs}|${given.shadow === true ? 's' : ''}`,
  };
}

/**
 * The part of a limit one of several processes enforces on its own: so that all of them together let through no
 * more than the limit, but for what rounding up adds.
 */
export function shareOf(limit: ResolvedLimit, replicas: number, cost: number): ResolvedLimit {
  if (limit.capacity === 0) return limit;
  // What may be asked for at all has to remain possible, or it would be denied for the whole outage.
  const capacity = Math.max(Math.ceil(limit.capacity / replicas), Math.min(cost, limit.capacity));
  const unit = limit.code === 'g' ? limit.unit * replicas : limit.unit;
  return { ...limit, unit, capacity, print: `${limit.print}|${replicas}|${capacity}` };
}

interface Measures {
  readonly limit: number;
  readonly windowMs: number;
  readonly capacity: number;
  readonly hold: Duration | undefined;
}

function unitOf(code: ResolvedLimit['code'], name: string, measures: Measures): number {
  const { limit, windowMs, capacity, hold } = measures;
  switch (code) {
    case 'g': {
      // Rounded up: an interval that is a little too long never admits too much.
      const interval = limit === 0 ? 1 : Math.ceil((windowMs * 1_000) / limit);
      if (limit > windowMs * 1_000) {
        throw refused(name, 'limit', limit, 'at most one per microsecond of the window');
      }
      if (interval * capacity > LARGEST)
        throw refused(name, 'burst', capacity, 'less: it is 142 years worth');
      return interval;
    }
    case 's':
      if (limit * windowMs > LARGEST) {
        throw refused(name, 'limit', limit, `at most ${Math.floor(LARGEST / windowMs)} with this window`);
      }
      return windowMs;
    case 'f':
      return windowMs;
    case 'c': {
      const holdMs = parsePositiveDuration(hold ?? LIMIT_DEFAULTS.hold, `limit '${name}': hold`);
      if (holdMs < SHORTEST_HOLD_MS)
        throw refused(name, 'hold', `${holdMs}ms`, `at least ${SHORTEST_HOLD_MS}ms`);
      return holdMs;
    }
  }
}

function leaseOf(name: string, lease: number, code: ResolvedLimit['code'], capacity: number): number {
  whole(name, 'lease', lease, LARGEST_LIMIT);
  if (lease === 0) return 0;
  if (code !== 'g') throw refused(name, 'lease', lease, "'gcra' only");
  if (lease * 2 > capacity) throw refused(name, 'lease', lease, 'at most half of the burst');
  return lease;
}

function policyOf(name: string, policy: OnStoreError): OnStoreError {
  if (['local', 'open', 'closed'].includes(policy)) return policy;
  throw refused(name, 'onStoreError', policy, "'local', 'open' or 'closed'");
}

function nameOf(name: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw new InvalidRateLimitError(`limit: the name ${shown(name)} is not one`, {
    hint: 'letters, digits, _, - and ., at most 64 of them; data belongs into the subject',
  });
}

function whole(name: string, option: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw refused(name, option, value, `a whole number from 0 to ${most}`);
}

function refused(name: string, option: string, value: unknown, wanted: string): InvalidRateLimitError {
  return new InvalidRateLimitError(`limit '${name}': ${option}: ${shown(value)} is not possible, ${wanted}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : String(value).slice(0, 40);
}
