/**
 * Lets this process hold copies of what lies in Redis only while it hears of every change of it: from Redis
 * itself, or where that is refused from the other processes. Whoever holds copies follows; all of them share the
 * connections of one client.
 */
import {
  READS_FROM_REPLICAS,
  type RedisClient,
  type Tracking,
  type TrackingState,
} from '../../connection/index.js';
import { safeMessage, telemetryChannel, type Clock } from '../../core/index.js';
import { L1Bus } from './l1-bus.js';
import type { L1Sync } from './l1.options.js';

/** Somebody who holds copies. */
export interface Follower {
  /** Beginning of the keys it holds copies of. */
  readonly prefix: string;
  invalidate(key: string): void;
  invalidateAll(): void;
  /** Changes can not be followed from now on: nothing held may be served as if it were known to hold. */
  doubt(): void;
}

export interface L1TrackingOptions {
  /** They cover those of all followers to come. */
  readonly prefixes: readonly string[];
  /** @default 'tracking' */
  readonly sync?: L1Sync | undefined;
  /** Of the bus; without one there is none. */
  readonly channel?: string | undefined;
  /** Told by what changes are heard from now on, before anything is held by it. */
  readonly onSource?: ((source: L1Source) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** What tells of changes. */
export type L1Source = 'tracking' | 'bus';

export interface L1TrackingStatus {
  readonly state: TrackingState;
  /** Why, as one line without secrets. */
  readonly reason: string;
  /** What tells of changes, while something does. */
  readonly by: L1Source | undefined;
  /** How often everything held came into doubt because changes could not be followed. */
  readonly interruptions: number;
}

const telemetry = telemetryChannel('l1');

export class L1Tracking {
  /** Copies may be served and made. A plain field, for every hit reads it. */
  active = false;
  readonly #client: RedisClient;
  readonly #options: L1TrackingOptions;
  readonly #sync: L1Sync;
  readonly #followers = new Set<Follower>();
  #tracking: Tracking | undefined;
  #bus: L1Bus | undefined;
  #source: L1Source | undefined;
  #shown = '';
  #started = false;
  #interruptions = 0;
  #closed = false;

  /** Nothing is connected before `start`. */
  constructor(client: RedisClient, options: L1TrackingOptions) {
    this.#client = client;
    this.#options = options;
    this.#sync = options.sync ?? 'tracking';
    if (this.#sync !== 'tracking' && options.channel !== undefined)
      this.#bus = this.#openBus(options.channel);
  }

  follow(follower: Follower): void {
    const { prefixes } = this.#options;
    if (!prefixes.some((prefix) => follower.prefix.startsWith(prefix))) {
      throw new RangeError(`follow: '${follower.prefix}' is not below ${prefixes.join(', ')}`);
    }
    this.#followers.add(follower);
  }

  status(): L1TrackingStatus {
    const told = this.#source === 'bus' || this.#tracking === undefined ? this.#bus : this.#tracking;
    const { state, reason } = this.#started && told !== undefined ? told : NOT_STARTED;
    return { state, reason, by: this.#source, interruptions: this.#interruptions };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#judge();
    for (const follower of this.#followers) follower.invalidateAll();
    await Promise.all([this.#tracking?.close(), this.#bus?.close()]);
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    if (this.#sync === 'bus') {
      this.#bus?.start();
    } else {
      this.#tracking = this.#client.track({
        prefixes: this.#options.prefixes,
        onInvalidate: (keys) => this.#invalidate(keys),
        onState: (state, reason) => this.#trackingIs(state, reason),
      });
    }
    this.#judge();
  }

  /**
   * Tells other processes what this one has changed, if that is how they hear of it; to be awaited before the
   * change is acknowledged. Undefined when there is nothing to wait for: with tracking, Redis tells them.
   */
  announce(keys: readonly string[]): Promise<void> | undefined {
    if (this.#bus === undefined || this.#closed) return undefined;
    this.start();
    // Until it is known that tracking stands somebody may depend on it.
    if (this.#source === 'tracking') return undefined;
    const telling = this.#bus.announce(keys);
    return this.#sync === 'bus' ? telling : telling.catch(unlessForbidden);
  }

  #openBus(channel: string): L1Bus {
    return new L1Bus({
      client: this.#client,
      channel,
      clock: this.#options.clock,
      onInvalidate: (keys) => this.#invalidate(keys),
      onState: () => this.#judge(),
    });
  }

  /** Once begun, the bus stays: tracking may be refused again, as it is to the others. */
  #trackingIs(state: TrackingState, reason: string): void {
    const replaceable = state === 'refused' && reason !== READS_FROM_REPLICAS;
    if (replaceable && !this.#closed) this.#bus?.start();
    this.#judge();
  }

  #judge(): void {
    const source = this.#closed ? undefined : this.#standing();
    this.#show(source);
    if (source === this.#source) {
      // Doubt may be told again; whoever was not active has nothing new to lose.
      if (source === undefined) for (const follower of this.#followers) follower.doubt();
      return;
    }
    if (this.#source !== undefined) this.#interruptions += 1;
    // Emptied before it may be used and in doubt after that, both with a bar to fills that are on their way.
    this.active = false;
    this.#source = source;
    if (source !== undefined) this.#options.onSource?.(source);
    for (const follower of this.#followers) {
      if (source === undefined) follower.doubt();
      else follower.invalidateAll();
    }
    this.active = source !== undefined;
  }

  #standing(): L1Source | undefined {
    if (this.#tracking?.state === 'tracking') return 'tracking';
    return this.#bus?.state === 'tracking' ? 'bus' : undefined;
  }

  /** One event for each change of what L1 lives by: never one per call. */
  #show(source: L1Source | undefined): void {
    if (!this.#started || !telemetry.active) return;
    const { reason } = this.status();
    const outcome = source ?? (this.#hopeless() ? 'refused' : 'lost');
    if (outcome === this.#shown) return;
    this.#shown = outcome;
    const why = this.#tracking?.state === 'refused' ? this.#tracking.reason : reason;
    const attributes = { reason: safeMessage(why) };
    telemetry.publish({ name: 'l1.source', subject: this.#client.name, outcome, attributes });
  }

  /** Nothing that may be taken is about to stand. */
  #hopeless(): boolean {
    if (this.#tracking !== undefined && this.#tracking.state !== 'refused') return false;
    if (this.#bus === undefined || this.#tracking?.reason === READS_FROM_REPLICAS) return true;
    return this.#bus.state === 'refused';
  }

  #invalidate(keys: readonly string[] | 'all'): void {
    for (const follower of this.#followers) {
      if (keys === 'all') follower.invalidateAll();
      else invalidateOwn(follower, keys);
    }
  }
}

/** Nobody asked for a bus, and who may not speak on it is not to fail for that. */
function unlessForbidden(error: unknown): void {
  if (Reflect.get(Object(error), 'kind') !== 'NOPERM') throw error;
}

const NOT_STARTED = { state: 'lost', reason: 'not started' } as const;

function invalidateOwn(follower: Follower, keys: readonly string[]): void {
  for (const key of keys) if (key.startsWith(follower.prefix)) follower.invalidate(key);
}
