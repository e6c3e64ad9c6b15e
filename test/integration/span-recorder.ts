/** OpenTelemetry as an application sets it up, with everything recorded kept in memory. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  context,
  ROOT_CONTEXT,
  trace,
  type Context,
  type ContextManager,
  type Span,
} from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { until } from '../topology/index.js';

/** What `@opentelemetry/context-async-hooks` does, as far as it is needed here. */
class StoredContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    receiver?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run<ReturnType<F>, []>(active, () => Reflect.apply(work, receiver, args));
  }

  bind<T>(_: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

export class SpanRecorder {
  readonly #exporter = new InMemorySpanExporter();
  readonly #provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
  });

  begin(): void {
    trace.setGlobalTracerProvider(this.#provider);
    context.setGlobalContextManager(new StoredContext().enable());
  }

  async end(): Promise<void> {
    trace.disable();
    context.disable();
    await this.#provider.shutdown();
  }

  forget(): void {
    this.#exporter.reset();
  }

  named(name: string): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans().filter((span) => span.name === name);
  }

  get all(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** So many spans of a name; what was handed out late may end after whoever asked for it has gone on. */
  async has(name: string, count = 1): Promise<readonly ReadableSpan[]> {
    await until(() => this.named(name).length >= count, { what: `${count} spans ${name}` });
    return this.named(name);
  }

  /** The application's own span around work of its own. */
  async within<T>(name: string, work: (span: Span) => Promise<T>): Promise<T> {
    const span = this.#provider.getTracer('the application').startSpan(name);
    try {
      return await context.with(trace.setSpan(context.active(), span), () => work(span));
    } finally {
      span.end();
    }
  }
}
