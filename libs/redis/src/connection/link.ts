/**
 * One server, kept within reach: opens a wire, watches it, and opens another one when it is gone. Knows when
 * to wait and when to say no at once, and holds the two breakers of the node, for reads and for writes.
 */
import {
  systemClock,
  telemetryChannel,
  withDeadline,
  type Clock,
  type TelemetryChannel,
  type Timer,
} from '../core/index.js';
import { CircuitBreaker, CircuitOpenError, REFUSED, type ResolvedBreaker } from '../resilience/index.js';
import type { Address } from './connection.options.js';
import type { DriverOptions } from './driver-options.js';
import { connectionClosed, notConnected, type Failure } from './failure.js';
import { greet } from './greeting.js';
import { ask } from './question.js';
import { reconnectDelay } from './reconnect-delay.js';
import type { BreakerView, NodeState, NodeStatus } from './redis-client.js';
import type { Reply } from './reply.js';
import type { Carrier, Request } from './request.js';
import { SilenceWatch } from './silence-watch.js';
import { Wire } from './wire.js';

export interface LinkEvents {
  onReady(link: Link): void;
  onLost(link: Link, reason: string): void;
  onBreaker(link: Link, change: { kind: 'reads' | 'writes'; from: BreakerView; to: BreakerView }): void;
}

export interface LinkOptions {
  /** Shown in status and telemetry until an address is known. */
  readonly node: string;
  /** The configured name of the client it belongs to. */
  readonly client: string;
  /** Where the server is at this moment; asked anew before every attempt. */
  locate(): Promise<Address>;
  /** Options for the driver; asked anew before every attempt, since passwords rotate. */
  driver(address: Address): Promise<DriverOptions>;
  /** Only a server of this role is good; `'any'` takes both. */
  readonly role: 'primary' | 'replica' | 'any';
  readonly breaker: ResolvedBreaker | false;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly integrity: boolean;
  readonly coalesce: boolean;
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  readonly events: LinkEvents;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** A wire that lived this long was a good one: the next attempts start with short delays again. */
const STABLE_MS = 1_000;
/** A shorter one that served callers was lost by chance: however often that happens, the next attempt comes soon. */
const FAILURES_WHEN_SERVED = 2;

export type Admission = 'admitted' | 'full' | 'unreachable' | 'circuit-open';

export class Link implements Carrier {
  readonly #options: LinkOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: TelemetryChannel = telemetryChannel('connection');
  readonly #reads: CircuitBreaker | undefined;
  readonly #writes: CircuitBreaker | undefined;
  readonly #waiting = new Set<Request>();
  readonly #watch: SilenceWatch;

  #state: NodeState = 'idle';
  #since: number;
  #role: NodeStatus['role'] = 'unknown';
  #reason: string | null = null;
  #address: string | undefined;
  #wire: Wire | undefined;
  #queue: Request[] = [];
  #flushScheduled = false;
  /** Attempts in a row that came to nothing. */
  #failures = 0;
  /** Since the wire was lost an attempt has failed, or taken too long: do not make callers wait for the next. */
  #givenUp = false;
  /** The present wire has answered a caller. */
  #served = false;
  #graceTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #attemptTimer: Timer | undefined;
  /** Counts attempts, so that what belongs to an earlier one is not taken for the present one. */
  #epoch = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#since = this.#clock.wallNow();
    this.#watch = new SilenceWatch({
      clock: this.#clock,
      heartbeatMs: options.heartbeatMs,
      timeoutMs: options.timeoutMs,
      onSilent: (wire) => wire.end('the server went silent', connectionClosed('the server went silent')),
    });
    if (options.breaker !== false) {
      this.#reads = this.#createBreaker(options.breaker, 'reads');
      this.#writes = this.#createBreaker(options.breaker, 'writes');
    }
  }

  get node(): string {
    return this.#address ?? this.#options.node;
  }

  get state(): NodeState {
    return this.#state;
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  /** Connected, and nothing speaks against it. */
  get healthy(): boolean {
    return this.ready && this.#watch.calm && lets(this.#reads) && lets(this.#writes);
  }

  /** Why it is not ready, without secrets. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Requests queued or under way: the smaller, the sooner it answers. */
  get load(): number {
    return this.#queue.length + this.#waiting.size + (this.#wire?.inFlight ?? 0);
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#setState('connecting');
    this.#attempt();
  }

  /** Takes a request on, or says why not; what it has taken on it will answer through the owner. */
  admit(request: Request): Admission {
    if (this.#state === 'idle') this.start();
    if (this.#state !== 'ready') return this.#makeWait(request);
    if (this.load >= this.#options.maxInFlight) return 'full';
    const breaker = request.readOnly ? this.#reads : this.#writes;
    if (breaker !== undefined) {
      const permit = breaker.acquire();
      if (permit === REFUSED) return 'circuit-open';
      request.permit = permit;
    }
    this.#enqueue(request);
    return 'admitted';
  }

  conclude(request: Request, outcome: 'success' | 'failure' | 'ignored'): void {
    if (outcome === 'success') this.#served = true;
    const { permit } = request;
    if (permit === -1) return;
    request.permit = -1;
    const breaker = request.readOnly ? this.#reads : this.#writes;
    if (outcome === 'success') {
      request.answeredAt = this.#clock.now();
      breaker?.success(permit, request.answeredAt - request.sentAt);
    } else if (outcome === 'failure') breaker?.failure(permit);
    else breaker?.ignore(permit);
  }

  /** The error for a request that was answered `'circuit-open'`. */
  refusal(request: Request): Error {
    const breaker = request.readOnly ? this.#reads : this.#writes;
    if (breaker !== undefined) return breaker.refusal(`${request.name} to ${this.node}`);
    const reason = this.#reason ?? 'unknown';
    return new CircuitOpenError({ what: request.name, state: 'open', reason, retryInMs: undefined });
  }

  noteTimeout(request: Request): void {
    this.#waiting.delete(request);
    this.#watch.noteTimeout(request);
  }

  /** Gives the present socket up and makes a new one: the topology says this is the wrong server. */
  recycle(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'idle') return;
    this.#failures = 0;
    if (this.#wire === undefined) this.#attempt();
    else this.#wire.end(reason);
  }

  /**
   * The server says it is a replica. After a failover another connection leads to the new primary; where the
   * address is simply that of a replica it does not, so a fresh connection is not given up for it.
   */
  recycleForWrites(reason: string): void {
    const wire = this.#wire;
    if (wire === undefined || this.#clock.now() - wire.openedAt < STABLE_MS) return;
    this.recycle(reason);
  }

  isolate(): void {
    this.#reads?.isolate();
    this.#writes?.isolate();
  }

  restore(): void {
    this.#reads?.restore();
    this.#writes?.restore();
  }

  /** Ends for good. What is still under way is failed as closed. */
  close(reason = 'the client was closed'): void {
    if (this.#state === 'closed') return;
    this.#setState('closed', reason);
    this.#cancelTimers();
    this.#epoch += 1;
    this.#failAll(notConnected(reason));
    this.#wire?.end(reason);
  }

  status(): NodeStatus {
    return {
      node: this.node,
      state: this.#state,
      role: this.#role,
      latencyMs: this.#watch.latencyMs,
      breaker: { reads: this.#reads?.state ?? 'off', writes: this.#writes?.state ?? 'off' },
      inFlight: this.load,
      reason: this.#reason,
      since: this.#since,
    };
  }

  /** A question of the room itself to this very server. */
  ask(name: string, args: readonly string[], timeoutMs: number): Promise<Reply> {
    const wire = this.#wire;
    if (wire === undefined || !this.ready) return Promise.reject(new Error(this.#reason ?? 'not connected'));
    return withDeadline(ask(wire, name, args), { timeoutMs, what: name, clock: this.#clock });
  }

  // -- admission --------------------------------------------------------------------------------------------

  #makeWait(request: Request): Admission {
    if (this.#state === 'closed') return 'unreachable';
    if (this.#givenUp && this.#options.breaker !== false) return 'unreachable';
    if (this.#waiting.size >= this.#options.maxWaiting) return 'full';
    this.#waiting.add(request);
    return 'admitted';
  }

  #enqueue(request: Request): void {
    this.#queue.push(request);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Where answers are still awaited others are at work, whose sockets the loop may yet read in this turn: a request
    // of theirs leaves with this one, for a write costs more than what is in it.
    if (this.#wire !== undefined && this.#wire.inFlight > 0) this.#clock.turn(this.#flush);
    // A lone request does not wait for anything but the present callback and the promise continuations it woke.
    else process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    const queue = this.#queue;
    this.#queue = [];
    const open = queue.some(isSettled) ? queue.filter((request) => !request.settled) : queue;
    if (open.length === 0) return;
    const wire = this.#wire;
    if (wire !== undefined && this.ready) {
      wire.send(open);
      return;
    }
    for (const request of open) request.owner.failed(request, notConnected(this.#reason ?? 'not connected'));
  };

  #releaseWaiting(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const request of waiting) {
      if (request.settled) continue;
      const admission = this.admit(request);
      if (admission === 'admitted') continue;
      request.owner.failed(request, notConnected(`not admitted after the connection was made: ${admission}`));
    }
  }

  #failAll(failure: Failure): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const request of waiting) if (!request.settled) request.owner.failed(request, failure);
  }

  // -- the life of the socket -------------------------------------------------------------------------------

  #attempt(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    this.#epoch += 1;
    const epoch = this.#epoch;
    this.#armAttemptTimer(epoch);
    this.#open(epoch).catch((error: unknown) =>
      this.#attemptFailed(epoch, error instanceof Error ? error.message : String(error)),
    );
  }

  #armAttemptTimer(epoch: number): void {
    this.#attemptTimer?.cancel();
    this.#attemptTimer = this.#clock.after(this.#options.connectTimeoutMs, () => {
      const reason = `no connection within ${this.#options.connectTimeoutMs} ms`;
      if (this.#wire === undefined) this.#attemptFailed(epoch, reason);
      else this.#wire.end(reason);
    });
  }

  async #open(epoch: number): Promise<void> {
    const address = await this.#options.locate();
    const driver = await this.#options.driver(address);
    if (epoch !== this.#epoch) return;
    this.#address = `${address.host}:${address.port}`;
    const wire = new Wire({
      driver,
      coalesce: this.#options.coalesce,
      clock: this.#clock,
      events: {
        onOpen: () => void this.#prepare(wire, epoch),
        onGone: (reason) => this.#wireGone(wire, reason),
      },
    });
    this.#wire = wire;
    this.#served = false;
  }

  /** Checks that the server is the one wanted and is willing to serve, before any caller's request goes out. */
  async #prepare(wire: Wire, epoch: number): Promise<void> {
    wire.integrity = false;
    try {
      const greeting = await greet(wire, this.#clock, (reason) => {
        this.#setState('loading', reason);
        // It answers, so it is worth waiting for; but not with callers on the line.
        this.#armAttemptTimer(epoch);
        this.#giveUp(reason);
      });
      if (greeting === undefined || wire !== this.#wire) return;
      const { role, echoes } = greeting;
      const wanted = this.#options.role;
      if (wanted !== 'any' && role !== 'unknown' && role !== wanted) {
        wire.end(`the server is a ${role}, wanted is a ${wanted}`);
        return;
      }
      this.#role = role;
      wire.integrity = this.#options.integrity && echoes;
      if (!echoes)
        this.#publish('integrity-off', 'ECHO is refused, so replies are not checked for their order');
      this.#becomeReady(wire);
    } catch (error) {
      wire.end(error instanceof Error ? error.message : String(error));
    }
  }

  #becomeReady(wire: Wire): void {
    if (wire !== this.#wire || !wire.usable || this.#state === 'closed') return;
    this.#attemptTimer?.cancel();
    this.#graceTimer?.cancel();
    this.#givenUp = false;
    this.#setState('ready');
    this.#reads?.halfOpen();
    this.#writes?.halfOpen();
    this.#publish('ready', 'ok');
    this.#watch.watch(wire);
    this.#options.events.onReady(this);
    this.#releaseWaiting();
  }

  #wireGone(wire: Wire, reason: string): void {
    if (wire !== this.#wire) return;
    this.#wire = undefined;
    this.#watch.stop();
    this.#attemptTimer?.cancel();
    if (this.#state === 'closed') return;
    const wasReady = this.#state === 'ready';
    if (!wasReady) {
      this.#attemptFailed(this.#epoch, reason);
      return;
    }
    if (this.#clock.now() - wire.openedAt >= STABLE_MS) this.#failures = 0;
    else if (this.#served) this.#failures = Math.min(this.#failures, FAILURES_WHEN_SERVED);
    this.#setState('reconnecting', reason);
    this.#publish('lost', reason);
    this.#options.events.onLost(this, reason);
    // The first attempt comes at once and callers wait for it; only when it fails are they turned away.
    this.#graceTimer = this.#clock.after(this.#options.timeoutMs, () => this.#giveUp(reason));
    this.#scheduleAttempt(reason);
  }

  #attemptFailed(epoch: number, reason: string): void {
    if (epoch !== this.#epoch || this.#state === 'closed') return;
    this.#attemptTimer?.cancel();
    this.#epoch += 1;
    this.#setState(this.#state === 'connecting' ? 'connecting' : 'reconnecting', reason);
    this.#giveUp(reason);
    this.#scheduleAttempt(reason);
    this.#publish('attempt-failed', reason);
    this.#options.events.onLost(this, reason);
  }

  #scheduleAttempt(reason: string): void {
    const delayMs = reconnectDelay(reason, this.#failures, this.#random);
    this.#failures += 1;
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#clock.after(delayMs, () => this.#attempt());
  }

  /** From here until the next connection callers are told no at once. */
  #giveUp(reason: string): void {
    this.#graceTimer?.cancel();
    if (this.#state === 'ready' || this.#state === 'closed') return;
    if (!this.#givenUp) {
      this.#givenUp = true;
      this.#reads?.trip(reason);
      this.#writes?.trip(reason);
    }
    if (this.#options.breaker !== false) this.#failAll(notConnected(reason));
  }

  // -- odds and ends ----------------------------------------------------------------------------------------

  #createBreaker(options: ResolvedBreaker, kind: 'reads' | 'writes'): CircuitBreaker {
    return new CircuitBreaker(options, {
      clock: this.#clock,
      random: this.#random,
      onChange: (change) => this.#options.events.onBreaker(this, { kind, from: change.from, to: change.to }),
    });
  }

  #setState(state: NodeState, reason: string | null = null): void {
    this.#reason = reason;
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.#clock.wallNow();
  }

  #publish(what: string, outcome: string): void {
    if (!this.#telemetry.active) return;
    this.#telemetry.publish({
      name: `connection.${what}`,
      subject: this.#options.client,
      outcome,
      attributes: { node: this.node },
    });
  }

  #cancelTimers(): void {
    this.#watch.stop();
    for (const timer of [this.#graceTimer, this.#retryTimer, this.#attemptTimer]) timer?.cancel();
  }
}

function lets(breaker: CircuitBreaker | undefined): boolean {
  return breaker === undefined || breaker.state === 'closed' || breaker.state === 'half-open';
}

function isSettled(request: Request): boolean {
  return request.settled;
}
