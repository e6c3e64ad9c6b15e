/**
 * What clients are told of their limits: the fields of draft-ietf-httpapi-ratelimit-headers-11 (`RateLimit-Policy`
 * and `RateLimit`), the older `X-RateLimit-*`, and `Retry-After`, one for all limits.
 */
import type { LimitState, RateDecision } from './decision.js';

/** `'draft'`: the fields of the IETF draft; `'legacy'`: `X-RateLimit-*`; `'both'`; `false`: only `Retry-After`. */
export type RateLimitHeaders = 'draft' | 'legacy' | 'both' | false;

export type HeaderField = readonly [name: string, value: string];

/** The largest integer of a structured field. */
const LARGEST = 999_999_999_999_999;

/** Of what was decided for one request, in one or in several phases. A shadow is not spoken of. */
export function headersOf(states: readonly LimitState[], mode: RateLimitHeaders): readonly HeaderField[] {
  if (mode === false) return NO_FIELDS;
  const told = states.some(({ shadow }) => shadow) ? states.filter(({ shadow }) => !shadow) : states;
  if (told.length === 0) return NO_FIELDS;
  if (mode === 'draft') return draftOf(told);
  return mode === 'legacy' ? legacyOf(told) : [...draftOf(told), ...legacyOf(told)];
}

const NO_FIELDS: readonly HeaderField[] = [];

/** Whole seconds, rounded up, so that whoever waits that long is let in; none when waiting does not help. */
export function retryAfterOf({ retryAfterMs }: Pick<RateDecision, 'retryAfterMs'>): readonly HeaderField[] {
  if (!Number.isFinite(retryAfterMs)) return NO_FIELDS;
  return [['Retry-After', String(Math.max(1, seconds(retryAfterMs)))]];
}

function draftOf(states: readonly LimitState[]): readonly HeaderField[] {
  let policies = '';
  let limits = '';
  for (const { name, algorithm, limit, windowMs, remaining, moreAfterMs } of states) {
    if (policies !== '') {
      policies += ', ';
      limits += ', ';
    }
    // A name has no quote and no backslash in it.
    policies += `"${name}";q=${limit}`;
    if (algorithm === 'concurrency') policies += ';qu="concurrent-requests"';
    else if (windowMs >= 1_000) policies += `;w=${seconds(windowMs)}`;
    limits += `"${name}";r=${Math.min(remaining, LARGEST)}`;
    if (moreAfterMs > 0 && moreAfterMs !== Infinity) limits += `;t=${seconds(moreAfterMs)}`;
  }
  return [
    ['RateLimit-Policy', policies],
    ['RateLimit', limits],
  ];
}

/** There is room for one limit: the one that leaves least. */
function legacyOf(states: readonly LimitState[]): readonly HeaderField[] {
  const tightest = states.reduce((least, each) => (each.remaining < least.remaining ? each : least));
  return [
    ['X-RateLimit-Limit', String(tightest.limit)],
    ['X-RateLimit-Remaining', String(tightest.remaining)],
    ['X-RateLimit-Reset', String(seconds(tightest.resetAfterMs))],
  ];
}

function seconds(ms: number): number {
  return Math.min(LARGEST, Math.ceil(ms / 1_000));
}
