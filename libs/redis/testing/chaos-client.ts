/**
 * A client that fails on command: it wraps any other one, and a test says when calls fail, are late, or get no
 * answer at all. What is above the port can then be tested without a network to break.
 */
import {
  CommandTimeoutError,
  ConnectFailedError,
  NotConnectedError,
  type CallOptions,
  type ClientEvents,
  type ClientStatus,
  type PipelineResult,
  type RedisClient,
  type SubscribeOptions,
  type TrackOptions,
  type Tracking,
} from '../src/connection/index.js';
import { abortReason, parsePositiveDuration, sleep, systemClock, type Clock } from '../src/core/index.js';

export interface ChaosClient extends RedisClient {
  /**
   * This share of the calls, from 0 to 1, fails with `error` and is not executed. All of them with
   * `NotConnectedError` is a lost connection: whoever listens is told, and hears nothing more. @default share 1
   */
  fail(error: Error, share?: number): void;
  /** Calls are passed on this many milliseconds late; who does not wait so long gets a timeout. */
  latency(ms: number): void;
  /** Nothing gets through: calls run into their deadline unexecuted, listeners hear nothing. */
  partition(): void;
  /** All is well again; whoever listens is told that the connection is back, and of the gap. */
  heal(): void;
}

export interface ChaosOptions {
  /** @default the system's */
  clock?: Clock;
  /** From 0 to 1, for the share of failures. @default Math.random */
  random?: () => number;
  /** Deadline of calls that name none, in milliseconds. @default 250 */
  timeoutMs?: number;
}

type Weather =
  | { readonly kind: 'fair' }
  | { readonly kind: 'failing'; readonly error: Error; readonly share: number }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'partitioned' };

const FAIR: Weather = { kind: 'fair' };
const NODE = 'chaos';

type Listener = (detail: ClientEvents[keyof ClientEvents]) => void;

interface Subscriber {
  readonly lost: () => void;
  readonly gap: () => void;
}

/**
 * ```ts
 * const chaos = createChaosClient(redis.adapter.port);
 * chaos.partition();
 * ```
 */
export function createChaosClient(inner: RedisClient, options: ChaosOptions = {}): ChaosClient {
  return new WeatheredClient(inner, options);
}

class WeatheredClient implements ChaosClient {
  readonly #inner: RedisClient;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #timeoutMs: number;
  readonly #subscribers = new Set<Subscriber>();
  readonly #trackers = new Set<() => void>();
  readonly #lost = new Set<Listener>();
  readonly #ready = new Set<Listener>();
  #weather: Weather = FAIR;

  constructor(
    inner: RedisClient,
    { clock = systemClock, random = Math.random, timeoutMs = 250 }: ChaosOptions,
  ) {
    this.#inner = inner;
    this.#clock = clock;
    this.#random = random;
    this.#timeoutMs = timeoutMs;
  }

  get name(): string {
    return this.#inner.name;
  }

  get topology(): RedisClient['topology'] {
    return this.#inner.topology;
  }

  fail(error: Error, share = 1): void {
    if (!(share >= 0 && share <= 1)) throw new RangeError(`share: ${share} is not between 0 and 1`);
    this.#become({ kind: 'failing', error, share });
  }

  latency(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`latency: ${ms} is no number of milliseconds`);
    this.#become({ kind: 'slow', ms });
  }

  partition(): void {
    this.#become({ kind: 'partitioned' });
  }

  heal(): void {
    this.#become(FAIR);
  }

  async connect(...args: Parameters<RedisClient['connect']>): Promise<void> {
    await this.#inner.connect(...args);
    const away = this.#away;
    if (away !== undefined)
      throw new ConnectFailedError(`no connection to Redis ('${this.name}'): ${away}, by order of the test`);
  }

  disconnect(...args: Parameters<RedisClient['disconnect']>): Promise<void> {
    return this.#inner.disconnect(...args);
  }

  readonly command: RedisClient['command'] = (name, args, options) =>
    this.#through(name, options, () => this.#inner.command(name, args, options));

  /** The weather may strike one command of a pipeline and spare the next. */
  readonly pipeline: RedisClient['pipeline'] = async (commands, options) => {
    if (this.#weather.kind === 'fair') return this.#inner.pipeline(commands, options);
    const refused = await Promise.all(
      commands.map(({ name }) => this.#pass(name, options).then(() => undefined, toError)),
    );
    const passed = commands.filter((_, i) => refused[i] === undefined);
    const results = [...(await this.#inner.pipeline(passed, options))];
    return refused.map((error): PipelineResult => {
      if (error !== undefined) return { ok: false, error };
      return results.shift() ?? { ok: false, error: new Error('the pipeline answered too few') };
    });
  };

  readonly run: RedisClient['run'] = (...call) => {
    const [script, , , options] = call;
    return this.#through(script.name, options, () => this.#inner.run(...call));
  };

  readonly scan: RedisClient['scan'] = (options) => this.#scan(options);

  subscribe(options: SubscribeOptions): ReturnType<RedisClient['subscribe']> {
    const own: Subscriber = { lost: () => options.onLost?.(), gap: () => options.onGap?.() };
    this.#subscribers.add(own);
    const subscription = this.#inner.subscribe({
      ...options,
      onMessage: (message) => {
        if (this.#away === undefined) options.onMessage(message);
      },
      onLost: own.lost,
      onGap: own.gap,
    });
    return {
      ready: subscription.ready,
      close: () => {
        this.#subscribers.delete(own);
        return subscription.close();
      },
    };
  }

  track(options: TrackOptions): Tracking {
    const away = (): string | undefined => this.#away;
    const tracking = this.#inner.track({
      ...options,
      onInvalidate: (keys) => {
        if (away() === undefined) options.onInvalidate(keys);
      },
      onState: (state, reason) => {
        if (away() === undefined) options.onState(state, reason);
      },
    });
    const seen: Tracking = {
      get state() {
        return away() === undefined ? tracking.state : 'lost';
      },
      get reason() {
        return away() ?? tracking.reason;
      },
      close: () => {
        this.#trackers.delete(tell);
        return tracking.close();
      },
    };
    const tell = (): void => options.onState(seen.state, seen.reason);
    this.#trackers.add(tell);
    return seen;
  }

  isolate(node?: string): void {
    this.#inner.isolate(node);
  }

  restore(node?: string): void {
    this.#inner.restore(node);
  }

  status(): ClientStatus {
    const status = this.#inner.status();
    return this.#away === undefined ? status : { ...status, health: 'down' };
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void {
    const stop = this.#inner.on(event, listener);
    const listeners = event === 'lost' ? this.#lost : this.#ready;
    if (event !== 'lost' && event !== 'ready') return stop;
    // A wrapper of its own, so that the same function may listen twice and leave once.
    const own = ((detail: ClientEvents[E]) => listener(detail)) as Listener;
    listeners.add(own);
    return () => {
      listeners.delete(own);
      stop();
    };
  }

  /** Why nothing gets through, if that is so. */
  get #away(): string | undefined {
    const weather = this.#weather;
    if (weather.kind === 'partitioned') return 'partitioned';
    const isLost =
      weather.kind === 'failing' && weather.share === 1 && weather.error instanceof NotConnectedError;
    return isLost ? 'not connected' : undefined;
  }

  #become(weather: Weather): void {
    const before = this.#away;
    this.#weather = weather;
    const reason = this.#away;
    if ((before === undefined) === (reason === undefined)) return;
    if (reason === undefined) {
      for (const listener of this.#ready) listener({ node: NODE });
      for (const { gap } of this.#subscribers) gap();
    } else {
      for (const listener of this.#lost) listener({ node: NODE, reason });
      for (const { lost } of this.#subscribers) lost();
    }
    for (const tell of this.#trackers) tell();
  }

  async *#scan(options: Parameters<RedisClient['scan']>[0]): AsyncGenerator<readonly string[]> {
    for await (const batch of this.#inner.scan(options)) {
      await this.#pass('SCAN', { signal: options?.signal });
      yield batch;
    }
  }

  /** In fair weather at once, so that calls keep their place before whatever else the caller does. */
  #through<T>(what: string, options: CallOptions | undefined, go: () => Promise<T>): Promise<T> {
    return this.#weather.kind === 'fair' ? go() : this.#pass(what, options).then(go);
  }

  /** Settles when a call may go on to the client below, and rejects when it may not. */
  async #pass(what: string, options: CallOptions = {}): Promise<void> {
    const weather = this.#weather;
    if (weather.kind === 'fair') return;
    const { signal, timeout } = options;
    if (signal?.aborted === true) throw abortReason(signal);
    if (weather.kind === 'failing') {
      if (this.#random() < weather.share) throw weather.error;
      return;
    }
    const limitMs = timeout === undefined ? this.#timeoutMs : parsePositiveDuration(timeout, 'timeout');
    const waitMs = weather.kind === 'slow' ? weather.ms : Infinity;
    await sleep(Math.min(waitMs, limitMs), { clock: this.#clock, signal });
    if (waitMs >= limitMs) throw tooLate(what, limitMs);
  }
}

function tooLate(what: string, limitMs: number): CommandTimeoutError {
  return new CommandTimeoutError(`${what}: not done within ${limitMs} ms, by order of the chaos client`, {
    details: { timeoutMs: limitMs },
  });
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
