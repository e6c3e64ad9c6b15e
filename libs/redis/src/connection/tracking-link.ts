/**
 * One connection that hears of every change of keys on one server: it is its own redirect in broadcast mode,
 * so data connections, pools and scripts need to know nothing of it. As everywhere here, a driver instance
 * lives as long as its socket.
 *
 * RESP2, because there invalidations come as messages of a channel. The payload is an array of keys, or nil
 * for a flush: ioredis' text event would join it with commas, so only its Buffer event is listened to.
 */
import { Redis } from './driver.js';
import { safeMessage, withDeadline, type Clock, type Timer } from '../core/index.js';
import type { DriverOptions } from './driver-options.js';
import { reconnectDelay } from './reconnect-delay.js';
import type { TrackingState } from './redis-client.js';

export interface TrackingLinkOptions {
  /** The server; a replica will do only when `role` says so. */
  readonly node: string;
  readonly role: 'primary' | 'replica' | 'any';
  readonly prefixes: readonly string[];
  /** Options for the driver; asked anew before every attempt, since passwords rotate. */
  driver(): Promise<DriverOptions>;
  readonly connectTimeoutMs: number;
  /** A link that went silent is noticed within this time. */
  readonly heartbeatMs: number;
  onInvalidate(keys: readonly string[] | 'all'): void;
  onChange(link: TrackingLink): void;
  readonly clock: Clock;
  readonly random: () => number;
}

const CHANNEL = '__redis__:invalidate';
/** The server may be replaced by one that can, and permissions may be granted, but not often. */
const UNABLE_DELAY = { baseMs: 30_000, maxMs: 60_000 };
const STABLE_MS = 1_000;
/** Of the heartbeat this share is the pause before a PING, the rest is how long its answer may take. */
const PAUSE_SHARE = 0.4;

export class TrackingLink {
  readonly node: string;
  readonly #options: TrackingLinkOptions;
  #state: TrackingState = 'lost';
  #reason = 'not connected yet';
  #redis: Redis | undefined;
  #lastError: string | undefined;
  #trackingSince = 0;
  #failures = 0;
  #retryTimer: Timer | undefined;
  #heartbeatTimer: Timer | undefined;
  /** Counts attempts, so that what belongs to an earlier one is not taken for the present one. */
  #epoch = 0;
  #closed = false;

  constructor(options: TrackingLinkOptions) {
    this.node = options.node;
    this.#options = options;
  }

  get state(): TrackingState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  start(): void {
    this.#attempt();
  }

  /** Gives a connection up that stands: there may be another server behind the name by now. */
  recycle(reason: string): void {
    if (this.#state === 'tracking') this.#lost(this.#epoch, reason);
  }

  close(): void {
    this.#closed = true;
    this.#epoch += 1;
    this.#drop();
    this.#retryTimer?.cancel();
  }

  #attempt(): void {
    this.#epoch += 1;
    const epoch = this.#epoch;
    const { connectTimeoutMs: timeoutMs, clock } = this.#options;
    withDeadline(this.#open(epoch), { timeoutMs, what: 'tracking', clock }).then(
      () => this.#stands(epoch),
      (error: unknown) => this.#lost(epoch, this.#lastError ?? textOf(error), refusalOf(error)),
    );
  }

  /** Settles when the server has confirmed that it will announce changes on this very connection. */
  async #open(epoch: number): Promise<void> {
    const driver = await this.#options.driver();
    if (epoch !== this.#epoch) return;
    const redis = new Redis({ ...driver, protocol: 2 });
    this.#redis = redis;
    this.#lastError = undefined;
    redis.on('messageBuffer', (channel: Buffer, payload: unknown) => this.#heard(epoch, channel, payload));
    redis.on('error', (error: unknown) => {
      this.#lastError = textOf(error);
    });
    redis.on('close', () => this.#lost(epoch, this.#lastError ?? 'the connection was closed'));
    await redis.connect();
    await this.#checkRole(redis);
    const id = await redis.call('CLIENT', 'ID');
    const prefixes = this.#options.prefixes.flatMap((prefix) => ['PREFIX', prefix]);
    await redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', ...prefixes);
    // Messages sent before this is confirmed are lost, so nothing counts as watched before.
    await redis.subscribe(CHANNEL);
  }

  async #checkRole(redis: Redis): Promise<void> {
    const { role: wanted } = this.#options;
    if (wanted === 'any') return;
    // A restricted user may not ask; that is no reason not to listen.
    const reply = await redis.role().catch(() => undefined);
    const role = Array.isArray(reply) && reply[0] === 'slave' ? 'replica' : 'primary';
    if (reply !== undefined && role !== wanted)
      throw new Error(`the server is a ${role}, wanted is a ${wanted}`);
  }

  #stands(epoch: number): void {
    const redis = this.#redis;
    if (epoch !== this.#epoch || redis === undefined) return;
    this.#trackingSince = this.#options.clock.now();
    this.#scheduleHeartbeat(redis, epoch);
    this.#setState('tracking', 'every change is announced');
  }

  #lost(epoch: number, reason: string, state: 'lost' | 'refused' = 'lost'): void {
    if (epoch !== this.#epoch || this.#closed) return;
    this.#epoch += 1;
    const { clock } = this.#options;
    const wasStable = this.#state === 'tracking' && clock.now() - this.#trackingSince >= STABLE_MS;
    this.#failures = wasStable ? 0 : this.#failures + 1;
    this.#drop();
    this.#retryTimer?.cancel();
    this.#retryTimer = clock.after(this.#delayFor(reason, state), () => this.#attempt());
    this.#setState(state, reason);
  }

  #delayFor(reason: string, state: 'lost' | 'refused'): number {
    const { random } = this.#options;
    if (state === 'lost') return reconnectDelay(reason, this.#failures, random);
    return UNABLE_DELAY.baseMs + random() * (UNABLE_DELAY.maxMs - UNABLE_DELAY.baseMs);
  }

  /** Half-open links and frozen servers report nothing: only a question that stays unanswered shows them. */
  #scheduleHeartbeat(redis: Redis, epoch: number): void {
    const { clock, heartbeatMs } = this.#options;
    const pauseMs = heartbeatMs * PAUSE_SHARE;
    this.#heartbeatTimer = clock.after(pauseMs, () => {
      withDeadline(redis.ping(), { timeoutMs: heartbeatMs - pauseMs, what: 'PING', clock }).then(
        () => {
          if (epoch === this.#epoch) this.#scheduleHeartbeat(redis, epoch);
        },
        () => this.#lost(epoch, 'the server went silent'),
      );
    });
  }

  #heard(epoch: number, channel: Buffer, payload: unknown): void {
    if (epoch !== this.#epoch || channel.toString() !== CHANNEL) return;
    this.#options.onInvalidate(keysOf(payload));
  }

  #drop(): void {
    const redis = this.#redis;
    this.#redis = undefined;
    this.#heartbeatTimer?.cancel();
    if (redis === undefined) return;
    redis.removeAllListeners();
    redis.on('error', () => undefined);
    redis.disconnect();
    redis.stream?.destroy();
  }

  #setState(state: TrackingState, reason: string): void {
    const changed = state !== this.#state;
    this.#state = state;
    this.#reason = reason;
    if (changed) this.#options.onChange(this);
  }
}

/** nil is a flush. A plain text is what somebody published by hand: to take it for a key does no harm. */
function keysOf(payload: unknown): readonly string[] | 'all' {
  if (Array.isArray(payload)) return payload.map(String);
  return Buffer.isBuffer(payload) ? [payload.toString()] : 'all';
}

/** Whether the server has answered that it will not, in contrast to not being there or not being ready yet. */
function refusalOf(error: unknown): 'lost' | 'refused' {
  const answered = error instanceof Error && error.name === 'ReplyError';
  const passing = /^(?:LOADING|BUSY|MASTERDOWN|NOAUTH|WRONGPASS|CLUSTERDOWN)/u.test(textOf(error));
  return answered && !passing ? 'refused' : 'lost';
}

function textOf(error: unknown): string {
  return error instanceof Error ? safeMessage(error.message) : 'unknown error';
}
