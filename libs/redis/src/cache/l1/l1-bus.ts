/**
 * The next best where Redis does not announce changes itself: every process announces what it changes, by
 * pub/sub, before it acknowledges it. Pub/sub promises nothing about delivery, so this stands only while it is
 * proved to work: beats of this very process come back, and those of others leave no hole. See
 * docs/near-cache.md for what it can not see.
 */
import { randomBytes } from 'node:crypto';
import type { RedisClient, Subscription, Tracking, TrackingState } from '../../connection/index.js';
import { safeMessage, systemClock, telemetryChannel, type Clock, type Timer } from '../../core/index.js';
import { readBusMessage, writeBusMessage, type BusMessage } from './l1-bus-message.js';
import { BusSenders } from './l1-bus-senders.js';

export interface L1BusOptions {
  readonly client: RedisClient;
  readonly channel: string;
  onInvalidate(keys: readonly string[] | 'all'): void;
  /** Never called from within `start`. */
  onState(state: TrackingState, reason: string): void;
  readonly clock?: Clock | undefined;
}

/** How often each process shows that it is there. */
export const BEAT_MS = 250;
/** A beat that has not come back by then never will: the bus does not stand. */
export const ECHO_MS = 500;
/** Rights may be granted, but not often. */
const REFUSED_PAUSE_MS = 30_000;
const KEYS_PER_MESSAGE = 1_000;

const telemetry = telemetryChannel('l1');

export class L1Bus implements Tracking {
  readonly #options: L1BusOptions;
  readonly #clock: Clock;
  readonly #origin = randomBytes(9).toString('base64url');
  readonly #senders: BusSenders;
  readonly #stops: (() => void)[] = [];
  /** Beats under way, by number, with what gives them up. */
  readonly #beats = new Map<number, Timer>();
  #state: TrackingState = 'lost';
  #reason = 'not started';
  #subscription: Subscription | undefined;
  #timer: Timer | undefined;
  /** How often this process has announced something. */
  #count = 0;
  #beat = 0;
  /** Only a beat from this one on proves anything: earlier ones were sent before the last doubt. */
  #firstGoodBeat = 1;
  #pending: string[] = [];
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(options: L1BusOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#senders = new BusSenders({
      clock: this.#clock,
      onGap: (why) => {
        this.#publish('gap', why);
        options.onInvalidate('all');
      },
    });
  }

  get state(): TrackingState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  start(): void {
    if (this.#subscription !== undefined || this.#closed) return;
    const { client } = this.#options;
    // What comes back may be another server of the same name, with other contents.
    const again = (): void => this.#lose('lost', 'the connection was made anew');
    this.#stops.push(client.on('lost', again), client.on('ready', again), client.on('topology', again));
    this.#reason = 'not heard of itself yet';
    this.#subscribe();
    this.#timer = this.#clock.after(0, () => this.#next());
  }

  /** Settles when Redis has taken it: before that the change must not be acknowledged. */
  announce(keys: readonly string[]): Promise<void> {
    // One by one: a call has no room for as many arguments as there may be keys.
    for (const key of keys) this.#pending.push(key);
    this.#sending ??= Promise.resolve().then(() => this.#send());
    return this.#sending;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const stop of this.#stops) stop();
    this.#timer?.cancel();
    this.#giveUpBeats();
    this.#senders.reset();
    this.#state = 'lost';
    this.#reason = 'closed';
    if (this.#subscription === undefined) return;
    await this.#tell({ kind: 'leaving', origin: this.#origin, count: this.#count }).catch(() => undefined);
    await this.#subscription.close();
  }

  // -- telling ----------------------------------------------------------------------------------------------

  /** What was asked for in one turn leaves together. */
  async #send(): Promise<void> {
    this.#sending = undefined;
    const keys = [...new Set(this.#pending)];
    this.#pending = [];
    const told: Promise<void>[] = [];
    for (let at = 0; at < keys.length; at += KEYS_PER_MESSAGE) {
      this.#count += 1;
      const part = keys.slice(at, at + KEYS_PER_MESSAGE);
      told.push(this.#tell({ kind: 'changed', origin: this.#origin, count: this.#count, keys: part }));
    }
    await Promise.all(told);
  }

  async #tell(message: BusMessage): Promise<void> {
    const { client, channel } = this.#options;
    // Told twice is the same as told once, so it may be repeated when its outcome is unknown.
    await client.command('PUBLISH', [channel, writeBusMessage(message)], { idempotent: true });
  }

  // -- beats ------------------------------------------------------------------------------------------------

  #next(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.after(BEAT_MS, () => this.#next());
    this.#senders.check();
    this.#beat += 1;
    const beat = this.#beat;
    this.#beats.set(
      beat,
      this.#clock.after(ECHO_MS, () => this.#overdue(beat)),
    );
    this.#tell({ kind: 'beat', origin: this.#origin, count: this.#count, beat }).catch((error: unknown) =>
      this.#lose(stateAfter(error), textOf(error)),
    );
  }

  #overdue(beat: number): void {
    // Echoes that have arrived and wait to be read count: this process may have been busy.
    this.#clock.turn(() => {
      if (this.#beats.has(beat)) this.#lose('lost', 'what is told does not come back');
    });
  }

  #echoed(beat: number): void {
    this.#beats.get(beat)?.cancel();
    this.#beats.delete(beat);
    if (beat < this.#firstGoodBeat || this.#closed) return;
    this.#setState('tracking', 'every process announces what it changes');
  }

  #giveUpBeats(): void {
    for (const timer of this.#beats.values()) timer.cancel();
    this.#beats.clear();
  }

  // -- hearing ----------------------------------------------------------------------------------------------

  #subscribe(): void {
    const { client, channel } = this.#options;
    const subscription = client.subscribe({
      channels: [channel],
      onMessage: ({ payload }) => this.#heard(readBusMessage(payload.toString())),
      onLost: () => this.#lose('lost', 'the subscription was cut'),
      onGap: () => this.#lose('lost', 'the subscription was interrupted'),
    });
    this.#subscription = subscription;
    subscription.ready.catch((error: unknown) => {
      if (stateAfter(error) === 'refused') this.#refused(error);
    });
  }

  #heard(message: BusMessage | undefined): void {
    if (this.#closed) return;
    if (message === undefined) {
      // A newer version may be telling of a change in words not known here.
      this.#options.onInvalidate('all');
      return;
    }
    const { origin, count } = message;
    if (origin === this.#origin) {
      if (message.kind === 'beat') this.#echoed(message.beat);
      return;
    }
    if (message.kind === 'changed') this.#options.onInvalidate(message.keys);
    if (message.kind === 'leaving') this.#senders.left(origin, count);
    else this.#senders.heard(origin, count, message.kind === 'changed');
  }

  #refused(error: unknown): void {
    this.#lose('refused', textOf(error));
    this.#clock.after(REFUSED_PAUSE_MS, () => {
      if (!this.#closed) this.#subscribe();
    });
  }

  #lose(state: 'lost' | 'refused', reason: string): void {
    if (this.#closed) return;
    this.#firstGoodBeat = this.#beat + 1;
    this.#giveUpBeats();
    this.#senders.reset();
    this.#setState(state, reason);
  }

  #setState(state: TrackingState, reason: string): void {
    this.#reason = reason;
    if (state === this.#state) return;
    this.#state = state;
    this.#publish(state, reason);
    this.#options.onState(state, reason);
  }

  #publish(outcome: string, reason: string): void {
    if (!telemetry.active) return;
    const subject = this.#options.client.name;
    telemetry.publish({ name: 'l1.bus', subject, outcome, attributes: { reason } });
  }
}

/** Whether the server has answered that it will not, in contrast to not being there. */
function stateAfter(error: unknown): 'lost' | 'refused' {
  const refused = Reflect.get(Object(error), 'kind') === 'NOPERM';
  return refused ? 'refused' : 'lost';
}

function textOf(error: unknown): string {
  return error instanceof Error ? safeMessage(error.message) : 'unknown error';
}
