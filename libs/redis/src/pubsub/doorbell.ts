/**
 * Tells a reader of a stream that something was added. A ring says only "look": what there is, is asked of the
 * stream itself, so nothing is decided on a message that came late or not at all.
 */
import type { RedisClient, Subscription } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';

export class Doorbell {
  readonly #clock: Clock;
  readonly #subscription: Subscription;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(client: RedisClient, channel: string, clock: Clock) {
    this.#clock = clock;
    const ring = (): void => this.ring();
    this.#subscription = client.subscribe({ channels: [channel], onMessage: ring, onGap: ring });
    // Until the server has confirmed it, rings may pass by.
    this.#subscription.ready.then(ring, () => undefined);
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Settles at a ring, also at one that came since the last wait, and after `ms` at the latest. */
  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer: Timer = this.#clock.after(ms, resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#rung = false;
  }

  async close(): Promise<void> {
    this.ring();
    await this.#subscription.close();
  }
}
