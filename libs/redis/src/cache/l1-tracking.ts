/**
 * Lets this process hold copies of what lies in Redis only while it hears of every change of it. Whoever holds
 * copies follows; all of them share the tracking connections of one client.
 */
import type { RedisClient, Tracking, TrackingState } from '../connection/index.js';

/** Somebody who holds copies. */
export interface Follower {
  /** Beginning of the keys it holds copies of. */
  readonly prefix: string;
  invalidate(key: string): void;
  invalidateAll(): void;
}

export interface L1TrackingStatus {
  readonly state: TrackingState;
  /** Why, as one line without secrets. */
  readonly reason: string;
  /** How often everything held had to go because changes could not be followed. */
  readonly interruptions: number;
}

export class L1Tracking {
  /** Copies may be served and made. A plain field, for every hit reads it. */
  active = false;
  readonly #client: RedisClient;
  readonly #prefixes: readonly string[];
  readonly #followers = new Set<Follower>();
  #tracking: Tracking | undefined;
  #interruptions = 0;
  #closed = false;

  /** `prefixes` cover those of all followers to come. Nothing is connected before `start`. */
  constructor(client: RedisClient, prefixes: readonly string[]) {
    this.#client = client;
    this.#prefixes = prefixes;
  }

  follow(follower: Follower): void {
    if (!this.#prefixes.some((prefix) => follower.prefix.startsWith(prefix))) {
      throw new RangeError(`follow: '${follower.prefix}' is not below ${this.#prefixes.join(', ')}`);
    }
    this.#followers.add(follower);
  }

  status(): L1TrackingStatus {
    const { state, reason } = this.#tracking ?? { state: 'lost', reason: 'not started' };
    return { state, reason, interruptions: this.#interruptions };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#set('lost');
    await this.#tracking?.close();
  }

  start(): void {
    if (this.#tracking !== undefined || this.#closed) return;
    this.#tracking = this.#client.track({
      prefixes: this.#prefixes,
      onInvalidate: (keys) => this.#invalidate(keys),
      onState: (state) => this.#set(state),
    });
    this.#set(this.#tracking.state);
  }

  #set(state: TrackingState): void {
    const active = state === 'tracking' && !this.#closed;
    if (this.active && !active) this.#interruptions += 1;
    // Emptied before it may be used and after it may no longer be, with a bar to fills that are on their way.
    this.active = false;
    for (const follower of this.#followers) follower.invalidateAll();
    this.active = active;
  }

  #invalidate(keys: readonly string[] | 'all'): void {
    for (const follower of this.#followers) {
      if (keys === 'all') follower.invalidateAll();
      else invalidateOwn(follower, keys);
    }
  }
}

function invalidateOwn(follower: Follower, keys: readonly string[]): void {
  for (const key of keys) if (key.startsWith(follower.prefix)) follower.invalidate(key);
}
