/**
 * The `RedisClient` over real servers: deadline, retry, budget and back-pressure around every call, in one
 * place. Below it nothing repeats anything; above it nothing needs to.
 */
import {
  abortReason,
  parseDuration,
  parsePositiveDuration,
  systemClock,
  telemetryChannel,
  withDeadline,
  type Clock,
  type Duration,
  type TelemetryChannel,
} from '../core/index.js';
import { fullJitter, RetryBudget, type Backoff } from '../resilience/index.js';
import { crowdedOut, failedCall, isScriptMissing, lateCall } from './call-errors.js';
import { CallEvent } from './call-event.js';
import { assertShareable, traitsOf } from './command-table.js';
import type { ResolvedConnection } from './connection.options.js';
import { isHeard, tellFinished, tellRetried } from './finished-call.js';
import { ConnectFailedError, ConnectionClosedError, OutcomeUnknownError } from './connection.errors.js';
import { DeadlineKeeper } from './deadline-keeper.js';
import { notConnected, type Failure } from './failure.js';
import type { Admission } from './link.js';
import { scanPrimaries } from './primary-scan.js';
import type {
  CallOptions,
  ClientEvents,
  ClientStatus,
  PipelineCommand,
  PipelineResult,
  RedisClient,
  ScanOptions,
  SubscribeOptions,
  Subscription,
  Topology,
  TrackOptions,
  Tracking,
} from './redis-client.js';
import type { Arg, Reply } from './reply.js';
import { Request, type RequestOwner, type Settle } from './request.js';
import type { Router, RouterContext } from './router.js';
import type { Script } from './script.js';
import { ShardSubscriptions } from './shard-subscriptions.js';
import { Subscriber } from './subscriber.js';
import { Tracker } from './tracking.js';

export interface ResilientClientOptions {
  readonly connection: ResolvedConnection;
  createRouter(context: RouterContext): Router;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** Redirects of one call: a cluster in order needs one, a slot on the move two. */
const MAX_REDIRECTS = 5;
const DEFAULT_DRAIN_MS = 2_000;

type Listener = (detail: never) => void;

/** What a script says of itself; its replies are always bytes. */
interface ScriptTraits {
  readonly name: string;
  readonly readOnly: boolean;
  readonly idempotent: boolean;
}

interface SignalFollowers {
  readonly requests: Set<Request>;
  readonly onAbort: () => void;
}

export class ResilientClient implements RedisClient, RequestOwner {
  readonly name: string;
  readonly topology: Topology;

  readonly #connection: ResolvedConnection;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #router: Router;
  readonly #keeper: DeadlineKeeper;
  readonly #budget: RetryBudget;
  readonly #backoff: Backoff;
  readonly #attempts: number;
  readonly #subscriber: Subscriber;
  readonly #shards: ShardSubscriptions;
  readonly #trackers = new Set<Tracker>();
  readonly #telemetry: TelemetryChannel = telemetryChannel('connection');
  readonly #followers = new Map<AbortSignal, SignalFollowers>();
  readonly #listeners = new Map<keyof ClientEvents, Set<Listener>>();
  #state: 'idle' | 'open' | 'draining' | 'closed' = 'idle';
  #since: number;
  #wasReady = false;
  #closing: Promise<void> | undefined;

  constructor(options: ResilientClientOptions) {
    const { connection, clock = systemClock, random = Math.random } = options;
    const retry = connection.retry === false ? NO_RETRY : connection.retry;
    this.name = connection.name;
    this.#connection = connection;
    this.#clock = clock;
    this.#random = random;
    this.#since = clock.wallNow();
    this.#attempts = retry.attempts;
    this.#budget = new RetryBudget({ ratio: retry.budget }, clock);
    this.#backoff = fullJitter({ baseMs: retry.baseDelayMs, maxMs: retry.maxDelayMs }, random);
    this.#keeper = new DeadlineKeeper(clock, tickFor(connection.timeoutMs), this.#onExpired);
    this.#router = options.createRouter({
      connection,
      clock,
      random,
      readmit: (request) => this.#attempt(request),
      onTopology: (reason) => this.#emit('topology', { reason }),
      events: {
        onReady: (link) => this.#onReady(link.node),
        onLost: (link, reason) => this.#emit('lost', { node: link.node, reason }),
        onBreaker: (link, change) => this.#emit('breaker', { node: link.node, ...change }),
      },
    });
    this.topology = this.#router.topology;
    this.#subscriber = new Subscriber({
      connection,
      clock,
      random,
      locate: () => this.#router.locateSubscriber(),
    });
    this.#shards = new ShardSubscriptions({
      connection,
      clock,
      random,
      locate: (slot) => this.#router.locateSubscriber(slot),
      // Answered by whoever owns the slot, and whoever does not says who does.
      refresh: (channel) => this.command('EXISTS', [channel]),
      on: (event, listener) => this.on(event, listener),
    });
  }

  async connect(options: { timeout?: Duration } = {}): Promise<void> {
    this.#assertOpen();
    this.#start();
    if (this.#router.ready) return;
    const timeoutMs =
      options.timeout === undefined
        ? this.#connection.connectTimeoutMs
        : parsePositiveDuration(options.timeout, 'timeout');
    let stop: (() => void) | undefined;
    const ready = new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.#router.ready) resolve();
      };
      const stops = [this.on('ready', check), this.on('topology', check)];
      stop = () => stops.forEach((each) => each());
    });
    try {
      await withDeadline(ready, {
        timeoutMs,
        what: 'connect',
        clock: this.#clock,
        onTimeout: () => this.#connectFailed(timeoutMs),
      });
    } finally {
      stop?.();
    }
  }

  disconnect(options: { drain?: Duration } = {}): Promise<void> {
    this.#closing ??= this.#close(
      options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain, 'drain'),
    );
    return this.#closing;
  }

  command<R extends Reply = Reply>(name: string, args: readonly Arg[], options?: CallOptions): Promise<R> {
    return new Promise<Reply>((resolve, reject) => {
      const word = upperCase(name);
      assertShareable(word, args);
      this.#begin(word, args, { options, resolve, reject });
    }) as Promise<R>;
  }

  pipeline(commands: readonly PipelineCommand[], options?: CallOptions): Promise<readonly PipelineResult[]> {
    return Promise.all(
      commands.map(({ name, args }) =>
        this.command(name, args, options).then(
          (value): PipelineResult => ({ ok: true, value }),
          (error: Error): PipelineResult => ({ ok: false, error }),
        ),
      ),
    );
  }

  run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options: CallOptions = NO_OPTIONS,
  ): Promise<Result> {
    const startedAt = this.#clock.now();
    try {
      const rest: readonly Arg[] = [keys.length, ...keys, ...script.args(args)];
      return this.#send('EVALSHA', [script.sha1, ...rest], { script, options }).then(
        script.decode,
        async (error: unknown) => {
          if (!isScriptMissing(error)) throw error;
          const left = this.#timeoutOf(options) - (this.#clock.now() - startedAt);
          const again: CallOptions = { ...options, timeout: `${Math.max(1, Math.round(left))}ms` };
          const sent = this.#send('EVAL', [script.lua, ...rest], { script, options: again });
          // After an attempt that may have been executed, a failure of this one settles nothing.
          if (error instanceof OutcomeUnknownError)
            return script.decode(await sent.catch(() => Promise.reject(error)));
          return script.decode(await sent);
        },
      );
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async *scan(options: ScanOptions = {}): AsyncIterable<readonly string[]> {
    this.#assertOpen();
    this.#start();
    yield* scanPrimaries({
      primaries: () => this.#router.primaries(),
      whenReady: () => this.connect(),
      timeoutMs: this.#connection.timeoutMs,
      clock: this.#clock,
      options,
    });
  }

  subscribe(options: SubscribeOptions): Subscription {
    this.#start();
    const sharded = this.topology === 'cluster' && (options.shardChannels?.length ?? 0) > 0;
    return sharded ? this.#shards.subscribe(options) : this.#subscriber.subscribe(options);
  }

  track(options: TrackOptions): Tracking {
    this.#start();
    const tracker = new Tracker(
      {
        connection: this.#connection,
        clock: this.#clock,
        random: this.#random,
        targets: () => this.#router.trackingTargets(),
        on: (event, listener) => this.on(event, listener),
        onClosed: (closed) => void this.#trackers.delete(closed),
      },
      options,
    );
    if (this.#state === 'open') this.#trackers.add(tracker);
    else tracker.end('the client was closed');
    return tracker;
  }

  status(): ClientStatus {
    const nodes = this.#router.links().map((link) => link.status());
    const good = this.#router.links().filter((link) => link.healthy).length;
    const whole = this.#router.ready && good === nodes.length;
    return {
      name: this.name,
      topology: this.topology,
      health: whole ? 'up' : good > 0 ? 'degraded' : 'down',
      nodes,
      since: this.#since,
    };
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set<Listener>();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  isolate(node?: string): void {
    for (const link of this.#router.links()) if (node === undefined || link.node === node) link.isolate();
  }

  restore(node?: string): void {
    for (const link of this.#router.links()) if (node === undefined || link.node === node) link.restore();
  }

  // -- a call from its beginning to its end -----------------------------------------------------------------

  #begin(
    name: string,
    args: readonly Arg[],
    call: Settle & { readonly options: CallOptions | undefined; readonly script?: ScriptTraits },
  ): void {
    if (this.#state === 'draining' || this.#state === 'closed') {
      call.reject(new ConnectionClosedError(`${name}: the client '${this.name}' was closed`));
      return;
    }
    const { options, script } = call;
    const signal = options?.signal;
    if (signal?.aborted === true) {
      call.reject(abortReason(signal));
      return;
    }
    this.#start();
    const traits = script ?? traitsOf(name, args);
    const startedAt = this.#clock.now();
    const request = new Request(this, name, args, call);
    request.readOnly = traits.readOnly;
    request.idempotent = options?.idempotent ?? (traits.readOnly || traits.idempotent);
    request.script = script?.name;
    request.bytes = script !== undefined || options?.reply === 'bytes';
    request.anyType = options?.anyType === true;
    request.startedAt = startedAt;
    request.deadlineAt = startedAt + this.#timeoutOf(options);
    this.#keeper.add(request);
    this.#budget.onCall();
    if (signal !== undefined) this.#followSignal(request, signal);
    this.#attempt(request);
  }

  #send(
    name: string,
    args: readonly Arg[],
    { script, options }: { script: ScriptTraits; options: CallOptions },
  ): Promise<Reply> {
    return new Promise((resolve, reject) => this.#begin(name, args, { script, options, resolve, reject }));
  }

  #attempt(request: Request): void {
    if (request.settled) return;
    request.sentAt = -1;
    request.carrier = undefined;
    const admission = this.#router.admit(request);
    if (admission !== 'admitted') this.#refuse(request, admission);
  }

  replied(request: Request, reply: Reply): void {
    if (request.settled) return;
    request.carrier?.conclude(request, 'success');
    this.#budget.onSuccess();
    this.#finish(request, 'ok');
    request.settle.resolve(reply);
  }

  failed(request: Request, failure: Failure): void {
    if (request.settled) return;
    if (request.anyType && failure.message.startsWith('WRONGTYPE')) {
      this.replied(request, null);
      return;
    }
    request.carrier?.conclude(request, failure.counts ? 'failure' : 'ignored');
    if (failure.executed === 'unknown') request.uncertain = true;
    this.#router.onFailure(request, failure);
    if (failure.kind === 'readonly') for (const tracker of this.#trackers) tracker.recycle(failure.message);
    const redirected = failure.kind === 'moved' || failure.kind === 'ask';
    if (redirected && request.redirects < MAX_REDIRECTS) {
      request.redirects += 1;
      this.#attempt(request);
      return;
    }
    if (!this.#retryLater(request, failure)) this.#reject(request, failedCall(request, failure, this.name));
  }

  #retryLater(request: Request, failure: Failure): boolean {
    if (!failure.retryable || this.#state === 'draining' || this.#state === 'closed') return false;
    if (failure.executed === 'unknown' && !request.idempotent) return false;
    if (request.attempt >= this.#attempts) return false;
    const delayMs = this.#backoff(request.attempt - 1);
    if (this.#clock.now() + delayMs >= request.deadlineAt) return false;
    if (!this.#budget.tryTake()) return false;
    request.attempt += 1;
    request.failure = failure;
    tellRetried(this.name);
    if (this.#telemetry.active) request.answeredAt = this.#clock.now();
    this.#publish(request, 'retry', failure.kind);
    // Until the pause is over the deadline keeper alone may settle it.
    this.#clock.after(delayMs, () => this.#attempt(request), { keepAlive: true });
    return true;
  }

  #refuse(request: Request, admission: Admission): void {
    if (request.failure !== undefined) {
      // Only another try is refused. What became of the first says more, and may have been executed.
      this.#reject(request, failedCall(request, request.failure, this.name));
      return;
    }
    const node = request.carrier?.node ?? this.name;
    switch (admission) {
      case 'full':
        this.#reject(request, crowdedOut(request, this.name));
        break;
      case 'circuit-open':
        this.#reject(request, request.carrier?.refusal(request) ?? crowdedOut(request, this.name));
        break;
      case 'unreachable': {
        const reason = this.#router.links().find((link) => link.node === node)?.reason;
        const failure = notConnected(reason ?? 'no node serves this key at the moment');
        this.#reject(request, failedCall(request, failure, this.name));
        break;
      }
      case 'admitted':
        break;
    }
  }

  readonly #onExpired = (requests: readonly Request[]): void => {
    for (const request of requests) {
      if (request.settled) continue;
      const { carrier } = request;
      carrier?.noteTimeout(request);
      carrier?.conclude(request, request.hadFairTime ? 'failure' : 'ignored');
      this.#router.onTimeout(request);
      this.#reject(request, lateCall(request, this.name));
    }
  };

  #reject(request: Request, error: Error): void {
    request.error = error;
    this.#finish(request, 'error');
    request.settle.reject(error);
  }

  #finish(request: Request, outcome: string): void {
    request.settled = true;
    request.detach?.();
    this.#keeper.remove(request);
    if (!isHeard() && !this.#telemetry.active) return;
    if (request.answeredAt === 0 || outcome !== 'ok') request.answeredAt = this.#clock.now();
    tellFinished(this.name, request);
    this.#publish(request, 'command', outcome);
  }

  /** One listener per signal, however many calls it serves: Node warns of a leak beyond ten. */
  #followSignal(request: Request, signal: AbortSignal): void {
    const followers = this.#followers.get(signal) ?? this.#listenTo(signal);
    followers.requests.add(request);
    request.detach = () => {
      followers.requests.delete(request);
      if (followers.requests.size > 0) return;
      this.#followers.delete(signal);
      signal.removeEventListener('abort', followers.onAbort);
    };
  }

  #listenTo(signal: AbortSignal): SignalFollowers {
    const requests = new Set<Request>();
    const onAbort = (): void => {
      for (const request of [...requests]) {
        // Giving up is the caller's choice and says nothing about the server.
        request.carrier?.conclude(request, 'ignored');
        this.#reject(request, abortReason(signal));
      }
    };
    const followers = { requests, onAbort };
    this.#followers.set(signal, followers);
    signal.addEventListener('abort', onAbort, { once: true });
    return followers;
  }

  // -- life -------------------------------------------------------------------------------------------------

  #connectFailed(timeoutMs: number): ConnectFailedError {
    const reasons = new Set(
      this.#router
        .links()
        .filter((link) => !link.ready)
        .map((link) => `${link.node}: ${link.reason ?? link.state}`),
    );
    return new ConnectFailedError(
      `no connection to Redis ('${this.name}', ${this.topology}) within ${timeoutMs} ms: ${[...reasons].join('; ')}`,
      { hint: "start the server, correct the address, or boot without it: connect: 'lazy'" },
    );
  }

  #start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    this.#router.start();
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#state === 'idle') {
      this.#state = 'closed';
      this.#subscriber.close();
      this.#shards.close();
      return;
    }
    this.#state = 'draining';
    for (const tracker of this.#trackers) tracker.end('the client was closed');
    this.#trackers.clear();
    const giveUpAt = this.#clock.now() + drainMs;
    while (this.#keeper.size > 0 && this.#clock.now() < giveUpAt) {
      await new Promise<void>((resolve) => this.#clock.after(5, resolve, { keepAlive: true }));
    }
    this.#state = 'closed';
    this.#subscriber.close();
    this.#shards.close();
    for (const request of this.#keeper.drain()) {
      const executed = request.sentAt === -1 && !request.uncertain ? 'no' : 'unknown';
      request.carrier?.conclude(request, 'ignored');
      this.#reject(
        request,
        new ConnectionClosedError(`${request.name}: the client '${this.name}' was closed`, { executed }),
      );
    }
    this.#router.close();
    this.#keeper.stop();
    this.#listeners.clear();
  }

  #assertOpen(): void {
    if (this.#state === 'draining' || this.#state === 'closed') {
      throw new ConnectionClosedError(`the client '${this.name}' was closed`, {
        hint: 'make a new one; a closed client is not opened again',
      });
    }
  }

  #onReady(node: string): void {
    if (!this.#wasReady) this.#since = this.#clock.wallNow();
    this.#wasReady = true;
    this.#emit('ready', { node });
  }

  #timeoutOf(options: CallOptions | undefined): number {
    const timeout = options?.timeout;
    return timeout === undefined ? this.#connection.timeoutMs : parsePositiveDuration(timeout, 'timeout');
  }

  #emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      (listener as (detail: ClientEvents[E]) => void)(detail);
    }
  }

  #publish(request: Request, what: 'command' | 'retry', outcome: string): void {
    if (!this.#telemetry.active) return;
    this.#telemetry.publish(new CallEvent(what, this.name, request, outcome));
  }
}

const NO_OPTIONS: CallOptions = Object.freeze({});
const NO_RETRY = { attempts: 1, budget: 0, baseDelayMs: 0, maxDelayMs: 0 };

/** Fine enough that nothing overstays its deadline by much, coarse enough to cost nothing. */
function tickFor(timeoutMs: number): number {
  return Math.min(15, Math.max(2, Math.round(timeoutMs / 16)));
}

function upperCase(name: string): string {
  // Nearly every caller writes capitals already; the scan is cheaper than a copy.
  for (let i = 0; i < name.length; i += 1) if (name.charCodeAt(i) > 96) return name.toUpperCase();
  return name;
}
