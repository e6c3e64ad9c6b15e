/**
 * Waiting for somebody else's load by push. A message says only that something has happened to a lease; what,
 * is asked of the lease itself, so nothing is decided on a message that came late or not at all.
 */
import type { RedisClient, Subscription } from '../../connection/index.js';
import type { Clock, Timer } from '../../core/index.js';

/** Signals of one channel, as long as somebody waits. */
export class WakeCall {
  readonly #clock: Clock;
  readonly #subscription: Subscription;
  #rung = false;
  #confirmed = false;
  #wake: (() => void) | undefined;

  constructor(client: RedisClient, channel: string, clock: Clock) {
    this.#clock = clock;
    const ring = (): void => this.ring();
    this.#subscription = client.subscribe({ channels: [channel], onMessage: ring, onGap: ring });
    this.#subscription.ready.then(
      () => {
        this.#confirmed = true;
        this.ring();
      },
      () => undefined,
    );
  }

  /** Until the server has confirmed it, messages may pass by. */
  get confirmed(): boolean {
    return this.#confirmed;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Settles at a signal, also at one that came since the last wait, and after `ms` at the latest. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer: Timer = this.#clock.after(ms, resolve, { keepAlive: true });
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#rung = false;
  }

  close(): void {
    void this.#subscription.close();
    this.#wake?.();
  }
}

/** Makes {@link WakeCall}s, and keeps the listening connection from the first one on. */
export class WakeCalls {
  readonly #client: RedisClient;
  readonly #home: string;
  readonly #clock: Clock;
  #staying: Subscription | undefined;

  constructor(client: RedisClient, home: string, clock: Clock) {
    this.#client = client;
    this.#home = home;
    this.#clock = clock;
  }

  listen(channel: string): WakeCall {
    // A connection nobody listens on is closed, and opening it again would delay the next wait.
    this.#staying ??= this.#client.subscribe({ channels: [this.#home], onMessage: () => undefined });
    return new WakeCall(this.#client, channel, this.#clock);
  }

  close(): void {
    void this.#staying?.close();
    this.#staying = undefined;
  }
}
