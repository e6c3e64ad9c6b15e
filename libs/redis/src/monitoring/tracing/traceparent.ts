/**
 * The one line by which a trace goes on elsewhere, as W3C Trace Context writes it. Nothing else travels: baggage may
 * hold what is not to lie in Redis.
 */
import type { SpanContext } from '@opentelemetry/api';

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/u;
const VALID_TRACE = /^(?!0{32})[\da-f]{32}$/u;
const VALID_SPAN = /^(?!0{16})[\da-f]{16}$/u;
const SAMPLED = 1;

export function formatTraceparent(context: SpanContext | undefined): string | undefined {
  if (context === undefined) return undefined;
  const { traceId, spanId, traceFlags } = context;
  if (!VALID_TRACE.test(traceId) || !VALID_SPAN.test(spanId)) return undefined;
  return `00-${traceId}-${spanId}-${(traceFlags & SAMPLED) === SAMPLED ? '01' : '00'}`;
}

/** Undefined for whatever is none: it comes out of Redis, where anybody may have put it. */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED, isRemote: true };
}
