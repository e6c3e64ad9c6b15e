/**
 * Shard channels of a cluster: each is heard on the node that owns its slot, over one connection per node, and
 * moves with the slot. What was sent while it moved is lost, so a move is a gap.
 */
import { sleep, withDeadline, type Clock } from '../core/index.js';
import { ConnectionClosedError, NotConnectedError, RedisReplyError } from './connection.errors.js';
import type { Address, ResolvedConnection } from './connection.options.js';
import { formatAddress } from './driver-options.js';
import { keySlot } from './key-slot.js';
import type { ClientEvents, SubscribeOptions, Subscription } from './redis-client.js';
import { Subscriber } from './subscriber.js';

export interface ShardSubscriptionsParts {
  readonly connection: ResolvedConnection;
  readonly clock: Clock;
  readonly random: () => number;
  locate(slot: number): Promise<Address>;
  /** Makes the client look who owns the channel's slot. */
  refresh(channel: string): Promise<unknown>;
  on(event: keyof ClientEvents, listener: () => void): () => void;
}

interface Placed {
  readonly channel: string;
  readonly options: SubscribeOptions;
  node: string;
  subscription: Subscription | undefined;
  open: boolean;
  moving: boolean;
}

const AGAIN_MS = 100;

export class ShardSubscriptions {
  readonly #parts: ShardSubscriptionsParts;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #placed = new Set<Placed>();
  readonly #stop = new AbortController();
  #stopListening: (() => void) | undefined;

  constructor(parts: ShardSubscriptionsParts) {
    this.#parts = parts;
  }

  subscribe(options: SubscribeOptions): Subscription {
    this.#stopListening ??= this.#parts.on('topology', () => this.#moveAll());
    const places = (options.shardChannels ?? []).map((channel): Placed => {
      return { channel, options, node: '', subscription: undefined, open: true, moving: false };
    });
    const ready = this.#confirm(places);
    ready.catch(() => undefined);
    const close = async (): Promise<void> => {
      for (const place of places) {
        place.open = false;
        this.#placed.delete(place);
      }
      await Promise.all(places.map(async (place) => place.subscription?.close()));
    };
    return { ready, close };
  }

  close(): void {
    this.#stop.abort(new ConnectionClosedError('subscribe: the client was closed'));
    this.#stopListening?.();
    for (const subscriber of this.#subscribers.values()) subscriber.close();
    this.#placed.clear();
  }

  async #confirm(places: readonly Placed[]): Promise<void> {
    const { connection, clock } = this.#parts;
    for (const place of places) this.#placed.add(place);
    const timeoutMs = connection.connectTimeoutMs;
    await withDeadline(Promise.all(places.map((place) => this.#place(place))), {
      timeoutMs,
      what: 'subscribe',
      clock,
      onTimeout: () =>
        new NotConnectedError(`subscribe: not confirmed within ${timeoutMs} ms`, {
          hint: 'the subscription stays and is made as soon as its shard answers',
        }),
    });
  }

  /** Tries until the owner of the slot has confirmed it, or nobody wants it any more. */
  async #place(place: Placed): Promise<void> {
    if (place.moving) return;
    place.moving = true;
    try {
      while (place.open && !this.#stop.signal.aborted) {
        if (await this.#tryPlace(place)) return;
        await this.#parts.refresh(place.channel).catch(() => undefined);
        await sleep(AGAIN_MS, { clock: this.#parts.clock, signal: this.#stop.signal, keepAlive: false });
      }
    } finally {
      place.moving = false;
    }
  }

  async #tryPlace(place: Placed): Promise<boolean> {
    const { channel, options } = place;
    const address = await this.#parts.locate(keySlot(channel)).catch(() => undefined);
    if (address === undefined) return false;
    const subscription = this.#subscriberAt(address).subscribe({
      shardChannels: [channel],
      onMessage: (message) => options.onMessage(message),
      onLost: () => options.onLost?.(),
      onGap: () => options.onGap?.(),
    });
    try {
      await subscription.ready;
    } catch (error) {
      await subscription.close();
      // Anything but "not mine" is an answer.
      if (error instanceof RedisReplyError && error.kind !== 'MOVED') throw error;
      return false;
    }
    if (!place.open) {
      await subscription.close();
      return true;
    }
    place.node = formatAddress(address);
    place.subscription = subscription;
    return true;
  }

  #subscriberAt(address: Address): Subscriber {
    const node = formatAddress(address);
    const known = this.#subscribers.get(node);
    if (known !== undefined) return known;
    const { connection, clock, random } = this.#parts;
    const subscriber = new Subscriber({
      connection,
      clock,
      random,
      locate: () => Promise.resolve(address),
      onMoved: () => void this.#lookAgain(node),
    });
    this.#subscribers.set(node, subscriber);
    return subscriber;
  }

  /** The node has let go of a slot; the table of slots may not know it yet. */
  async #lookAgain(node: string): Promise<void> {
    const mine = [...this.#placed].filter((place) => place.node === node);
    await Promise.all(mine.map((place) => this.#parts.refresh(place.channel).catch(() => undefined)));
    this.#moveAll();
  }

  #moveAll(): void {
    for (const place of this.#placed) void this.#moveIfNeeded(place).catch(() => undefined);
  }

  async #moveIfNeeded(place: Placed): Promise<void> {
    const address = await this.#parts.locate(keySlot(place.channel)).catch(() => undefined);
    if (address === undefined || place.moving || place.subscription === undefined) return;
    if (formatAddress(address) === place.node) return;
    const old = place.subscription;
    place.subscription = undefined;
    await this.#place(place);
    await old.close();
    place.options.onGap?.();
  }
}
