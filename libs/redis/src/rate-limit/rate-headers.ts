/**
 * What clients are told of their limits: the fields of draft-ietf-httpapi-ratelimit-headers-10 (`RateLimit-Policy`
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
  const told = states.filter(({ shadow }) => !shadow);
  if (mode === false || told.length === 0) return [];
  return [...(mode === 'legacy' ? [] : draftOf(told)), ...(mode === 'draft' ? [] : legacyOf(told))];
}

/** Whole seconds, rounded up, so that whoever waits that long is let in; none when waiting does not help. */
export function retryAfterOf({ retryAfterMs }: Pick<RateDecision, 'retryAfterMs'>): string | undefined {
  return Number.isFinite(retryAfterMs) ? String(Math.max(1, seconds(retryAfterMs))) : undefined;
}

function draftOf(states: readonly LimitState[]): readonly HeaderField[] {
  const policies: string[] = [];
  const limits: string[] = [];
  for (const { name, algorithm, limit, windowMs, remaining, moreAfterMs } of states) {
    // A name has no quote and no backslash in it.
    policies.push(
      algorithm === 'concurrency'
        ? `"${name}";q=${limit};qu="concurrent-requests"`
        : `"${name}";q=${limit}${windowMs >= 1_000 ? `;w=${seconds(windowMs)}` : ''}`,
    );
    const more = Number.isFinite(moreAfterMs) && moreAfterMs > 0 ? `;t=${seconds(moreAfterMs)}` : '';
    limits.push(`"${name}";r=${Math.min(remaining, LARGEST)}${more}`);
  }
  return [
    ['RateLimit-Policy', policies.join(', ')],
    ['RateLimit', limits.join(', ')],
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
