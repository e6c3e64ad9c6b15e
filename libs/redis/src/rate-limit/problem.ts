/** A denial as RFC 9457 has it, with the types that the draft of the RateLimit fields registers. */
import type { RateDecision } from './decision.js';

export interface RateLimitProblem {
  readonly type: string;
  readonly title: string;
  readonly status: 429 | 503;
  readonly detail: string;
  readonly code: 'RATE_LIMITED' | 'RATE_LIMIT_UNAVAILABLE';
  readonly 'violated-policies': readonly string[];
}

export const PROBLEM_TYPE = 'application/problem+json';

const TYPES = 'https://iana.org/assignments/http-problem-types#';

export function statusOf({ source }: RateDecision): RateLimitProblem['status'] {
  return source === 'closed' ? 503 : 429;
}

export function problemOf(decision: RateDecision): RateLimitProblem {
  const status = statusOf(decision);
  if (status === 503) {
    return {
      type: `${TYPES}temporary-reduced-capacity`,
      title: 'Request cannot be satisfied due to temporary server capacity constraints',
      status,
      detail: 'The limit of this route could not be checked, and it lets nothing through unchecked.',
      code: 'RATE_LIMIT_UNAVAILABLE',
      'violated-policies': decision.violated,
    };
  }
  const penalized = decision.limits.some((limit) => limit.penalized);
  return {
    type: `${TYPES}${penalized ? 'abnormal-usage-detected' : 'quota-exceeded'}`,
    title: penalized
      ? 'Request not satisfied due to detection of abnormal request pattern'
      : 'Request cannot be satisfied as assigned quota has been exceeded',
    status,
    detail: detailOf(decision),
    code: 'RATE_LIMITED',
    'violated-policies': decision.violated,
  };
}

function detailOf({ violated, retryAfterMs }: RateDecision): string {
  const limits = violated.map((name) => `'${name}'`).join(', ');
  if (!Number.isFinite(retryAfterMs)) return `The limit ${limits} does not admit this request at any time.`;
  return `The limit ${limits} is used up; try again in ${Math.max(1, Math.ceil(retryAfterMs / 1_000))} s.`;
}
