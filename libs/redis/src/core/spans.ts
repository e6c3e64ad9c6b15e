/**
 * Work that is worth a span of its own: a load, an invalidation, a task, never a hit. Nobody here knows how spans are
 * recorded. Whoever records them says so once for the process, and until then a span costs one comparison.
 */

/** Where a call stands among the spans around it; what it is made of is the recorder's business. */
export interface SpanOrigin {
  readonly context: unknown;
}

export interface SpanPlan {
  /** `'<capability>.<what>'`, for example `'cache.load'`. */
  readonly name: string;
  /** The configured name of what it is about. Never a key, a user or an address. */
  readonly subject: string;
  /** @default 'internal' */
  readonly kind?: 'client' | 'producer' | 'consumer' | undefined;
  /** Where it was asked for, if not here. */
  readonly from?: SpanOrigin | undefined;
  /** `traceparent` of who sent it from elsewhere: it goes on there, and takes nothing from here. */
  readonly sender?: string | undefined;
  /** Nobody waits for it: a trace of its own, with a link to where it was asked for. @default false */
  readonly apart?: boolean | undefined;
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined;
}

export interface RunningSpan {
  set(name: string, value: string | number | boolean): void;
  /** For work that tells of its failure otherwise than by rejecting; `code` is a stable one. */
  fail(code: string): void;
}

export interface SpanRecorder {
  /** What is recorded goes somewhere; as long as it does not, hot paths spare themselves their spans. */
  readonly active: boolean;
  /** Runs the work once, whatever becomes of the span, and gives what it gives. */
  around<T>(plan: SpanPlan, work: (span: RunningSpan) => T): T;
  here(): SpanOrigin | undefined;
  /** `traceparent` for an envelope, if there is a span here. */
  carry(): string | undefined;
}

const NO_SPAN: RunningSpan = Object.freeze({ set: () => undefined, fail: () => undefined });

/** Of several recorders one records: each span is to be there once. */
const recorders = new Set<SpanRecorder>();
let recorder: SpanRecorder | undefined;

export const spans: SpanRecorder = {
  get active() {
    return recorder?.active ?? false;
  },
  around(plan, work) {
    return recorder === undefined ? work(NO_SPAN) : recorder.around(plan, work);
  },
  here() {
    return recorder?.here();
  },
  carry() {
    return recorder?.carry();
  },
};

/** @returns what ends the recording; spans that have begun are ended all the same */
export function recordSpans(added: SpanRecorder): () => void {
  recorders.add(added);
  recorder ??= added;
  return () => {
    recorders.delete(added);
    if (recorder === added) [recorder] = recorders;
  };
}
