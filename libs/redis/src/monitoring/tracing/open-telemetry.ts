/**
 * Spans by OpenTelemetry. Only its API is used, which does nothing until the application sets up an SDK; so what is
 * recorded, sampled and sent is the application's choice.
 */
import type {
  Attributes,
  Context,
  Link,
  Span,
  SpanContext,
  SpanStatusCode,
  Tracer,
} from '@opentelemetry/api';
import type { RunningSpan, SpanOrigin, SpanPlan, SpanRecorder } from '../../core/index.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

type OpenTelemetryApi = Pick<
  typeof import('@opentelemetry/api'),
  'context' | 'trace' | 'ProxyTracerProvider' | 'ROOT_CONTEXT' | 'SpanKind' | 'SpanStatusCode'
>;

const TRACER = '@anbar/nestjs-redis';

interface Place {
  readonly parent: Context;
  readonly links: Link[];
  readonly root: boolean;
}

export class OpenTelemetrySpans implements SpanRecorder {
  readonly #api: OpenTelemetryApi;
  readonly #tracer: Tracer;
  #hasSdk = false;

  constructor(api: OpenTelemetryApi) {
    this.#api = api;
    // A stand-in until there is an SDK, and the SDK's from then on.
    this.#tracer = api.trace.getTracer(TRACER);
  }

  get active(): boolean {
    this.#hasSdk ||= this.#findSdk();
    return this.#hasSdk;
  }

  around<T>(plan: SpanPlan, work: (span: RunningSpan) => T): T {
    const opened = this.#open(plan);
    if (opened === undefined) return work(UNSEEN);
    const { span, inside } = opened;
    const running = new OpenTelemetrySpan(span, this.#api.SpanStatusCode.ERROR);
    let begun = false;
    const run = (): T => {
      begun = true;
      return follow(running, work);
    };
    try {
      return this.#api.context.with(inside, run);
    } catch (error) {
      // The work is done even where no context can be had for it; and never twice.
      if (begun) throw error;
      return run();
    }
  }

  here(): SpanOrigin {
    return { context: this.#api.context.active() };
  }

  carry(): string | undefined {
    const { trace, context } = this.#api;
    return formatTraceparent(trace.getSpanContext(context.active()));
  }

  /** It may be set up at any time; until then the API hands out a stand-in with nothing behind it. */
  #findSdk(): boolean {
    const { trace, ProxyTracerProvider } = this.#api;
    const provider = trace.getTracerProvider();
    return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(TRACER) !== undefined;
  }

  /** Undefined when an SDK fails at it: a span is not worth a call. */
  #open(plan: SpanPlan): { span: Span; inside: Context } | undefined {
    const { name, subject, kind, attributes } = plan;
    const { trace, SpanKind } = this.#api;
    const { parent, links, root } = this.#placeOf(plan);
    try {
      const span = this.#tracer.startSpan(
        name,
        {
          kind: kind === undefined ? SpanKind.INTERNAL : SpanKind[KINDS[kind]],
          attributes: { 'anbar.name': subject, ...attributes },
          links,
          root,
        },
        parent,
      );
      return { span, inside: trace.setSpan(parent, span) };
    } catch {
      return undefined;
    }
  }

  #placeOf({ from, sender, apart, kind }: SpanPlan): Place {
    const { trace, context, ROOT_CONTEXT } = this.#api;
    // Boundary: origins are made by `here` alone.
    const around = (from?.context as Context | undefined) ?? context.active();
    if (apart !== true) return { parent: around, links: [], root: false };
    const remote = parseTraceparent(sender);
    if (remote !== undefined) {
      return { parent: trace.setSpanContext(ROOT_CONTEXT, remote), links: [], root: false };
    }
    // A worker was begun in some span, which has nothing to do with what it is sent.
    const links = kind === 'consumer' ? [] : linksTo(trace.getSpanContext(around));
    return { parent: ROOT_CONTEXT, links, root: true };
  }
}

const KINDS = { client: 'CLIENT', producer: 'PRODUCER', consumer: 'CONSUMER' } as const;

const UNSEEN: RunningSpan = { set: () => undefined, fail: () => undefined };

class OpenTelemetrySpan implements RunningSpan {
  readonly #span: Span;
  readonly #errorStatus: SpanStatusCode;

  constructor(span: Span, errorStatus: SpanStatusCode) {
    this.#span = span;
    this.#errorStatus = errorStatus;
  }

  set(name: string, value: string | number | boolean): void {
    const attributes: Attributes = { [name]: value };
    this.#span.setAttributes(attributes);
  }

  fail(code: string): void {
    this.#span.setStatus({ code: this.#errorStatus, message: code });
    this.#span.setAttribute('error.type', code);
  }

  end(): void {
    this.#span.end();
  }
}

function follow<T>(running: OpenTelemetrySpan, work: (span: RunningSpan) => T): T {
  const end = (): void => safely(() => running.end());
  const fail = (error: unknown): void => {
    safely(() => running.fail(codeOf(error)));
    end();
  };
  try {
    const result = work(guarded(running));
    if (result instanceof Promise) result.then(end, fail);
    else end();
    return result;
  } catch (error) {
    fail(error);
    throw error;
  }
}

function guarded(running: OpenTelemetrySpan): RunningSpan {
  return {
    set: (name, value) => safely(() => running.set(name, value)),
    fail: (code) => safely(() => running.fail(code)),
  };
}

/** What an SDK fails at concerns nobody who waits for the work. */
function safely(record: () => void): void {
  try {
    record();
  } catch {
    // There is nobody to tell.
  }
}

function linksTo(context: SpanContext | undefined): Link[] {
  return context === undefined ? [] : [{ context }];
}

/** The stable code of an error of ours, or its name: never its text, which may quote anything. */
function codeOf(error: unknown): string {
  const code: unknown = Reflect.get(Object(error), 'code');
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : typeof error;
}
