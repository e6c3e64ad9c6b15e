/**
 * One of a group that shares the messages of a stream. A message that was handed out stays owed until it is
 * acknowledged; what a dead or silent member owes is handed to another, and what nobody can handle is put aside.
 */
import { randomBytes } from 'node:crypto';
import { RedisReplyError, type RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { AckQueue } from './ack-queue.js';
import { Doorbell } from './doorbell.js';
import type { RawMessage } from './message.js';
import type { StreamNames } from './pubsub.keys.js';
import type { ResolvedListen } from './pubsub.options.js';
import { joinScript, keepScript, reclaimScript, recoverScript } from './pubsub.scripts.js';
import type { Source } from './source.js';
import { entriesRead } from './stream-entries.js';
import { AFTER_FAILURE_MS, SAFETY_MS } from './stream-source.js';

export interface GroupSourceParts {
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly settings: ResolvedListen;
  readonly names: StreamNames;
  readonly dead: string;
  onDead(): void;
}

/** Few, so that one member does not sit on what the others could be doing. */
const BATCH = 16;
/** Of the idle time: after so much of it the own messages are kept, and those of others looked for. */
const KEEP_AT = 1 / 3;
const LOOK_AT = 1 / 2;
/** As if they had been lying there for ever: the next member to look takes them. */
const HAND_OVER_MS = 30 * 86_400_000;

export class GroupSource implements Source {
  readonly dropped = 0;
  readonly #parts: GroupSourceParts;
  readonly #consumer = randomBytes(9).toString('base64url');
  readonly #acks: AckQueue;
  /** Handed to this member and not acknowledged: waiting here, or being handled. */
  readonly #owed = new Set<string>();
  /** Given up, and when: they are not to come back before their time. */
  readonly #released = new Map<string, number>();
  #queue: RawMessage[] = [];
  #bell: Doorbell | undefined;
  #joined = false;
  /** The group was there before, so it does not begin with what is new. */
  #rejoining = false;
  #lookAt = 0;
  /** An answer may have been lost on the way: then messages are ours without our knowing. */
  #doubtful = false;
  #keepTimer: Timer | undefined;
  #fetching: Promise<number> | undefined;
  #stopped = false;
  #closed = false;

  constructor(parts: GroupSourceParts) {
    this.#parts = parts;
    const { client, clock, names, settings } = parts;
    this.#acks = new AckQueue((ids) => client.command('XACK', [names.stream, settings.group, ...ids]), clock);
  }

  async start(): Promise<void> {
    const { client, clock, names, settings } = this.#parts;
    if (this.#stopped) return;
    this.#bell ??= new Doorbell(client, names.wake, clock);
    if (this.#joined) return;
    await this.#join(this.#rejoining ? '0' : startOf(settings.from));
  }

  async take(): Promise<RawMessage | undefined> {
    for (;;) {
      if (this.#stopped) return undefined;
      const message = this.#queue.shift();
      if (message !== undefined) return message;
      this.#fetching = this.#fetch();
      const waitMs = await this.#fetching;
      if (waitMs > 0 && this.#queue.length === 0) await this.#bell?.wait(waitMs);
    }
  }

  async ack({ id }: RawMessage): Promise<void> {
    if (id === undefined || !this.#owed.has(id)) return;
    const done = this.#acks.add(id);
    this.#owed.delete(id);
    await done;
  }

  /** No longer kept, it becomes idle, and is handed out again like what a dead member owes. */
  release({ id }: RawMessage): void {
    if (id === undefined || !this.#owed.delete(id)) return;
    const now = this.#parts.clock.now();
    const longAgo = now - this.#parts.settings.redeliverAfterMs;
    for (const [old, releasedAt] of this.#released) {
      if (releasedAt > longAgo) break;
      this.#released.delete(old);
    }
    this.#released.set(id, now);
  }

  /** It would come again and again: acknowledged at once, it is out of the way and still in the stream. */
  discard(message: RawMessage): Promise<void> {
    return this.ack(message);
  }

  stop(): void {
    this.#stopped = true;
    this.#bell?.ring();
  }

  async close(): Promise<void> {
    this.stop();
    this.#closed = true;
    await this.#bell?.close();
    await this.#acks.close();
    // What is on its way here has to be handed over as well.
    await this.#fetching;
    this.#keepTimer?.cancel();
    const waiting = new Set(this.#queue.flatMap(({ id }) => id ?? []));
    const begun = [...this.#owed].filter((id) => !waiting.has(id));
    this.#queue = [];
    this.#owed.clear();
    if (waiting.size + begun.length === 0) return;
    // Not reached, they are handed over when they have lain long enough.
    await Promise.allSettled([
      this.#keep(begun, { idleMs: HAND_OVER_MS }),
      this.#keep([...waiting], { idleMs: HAND_OVER_MS, uncount: true }),
    ]);
    await this.#parts.client.command('PUBLISH', [this.#parts.names.wake, '']).catch(() => undefined);
  }

  /** What is fetched counts as handed out: where that is allowed once, nothing may wait here. */
  get #batch(): number {
    return this.#parts.settings.maxDeliveries === 1 ? 1 : BATCH;
  }

  async #join(from: string): Promise<void> {
    const { client, names, settings } = this.#parts;
    const { group, retentionMs } = settings;
    await client.run(joinScript, [names.stream], { group, from, retentionMs });
    this.#joined = true;
  }

  /** Answers how long to wait when there was nothing. */
  async #fetch(): Promise<number> {
    const { clock, settings } = this.#parts;
    try {
      await this.start();
      if (clock.now() >= this.#lookAt) await this.#reclaim();
      if (this.#doubtful) await this.#recover();
      if (this.#queue.length === 0) await this.#read();
    } catch (error) {
      await this.#afterFailure(error);
      return AFTER_FAILURE_MS;
    }
    return Math.max(1, Math.min(SAFETY_MS, this.#lookAt - clock.now(), settings.redeliverAfterMs));
  }

  async #afterFailure(error: unknown): Promise<void> {
    this.#doubtful = true;
    if (!(error instanceof RedisReplyError) || error.kind !== 'NOGROUP') return;
    // The stream was deleted, or has expired: what is in it now was added since.
    this.#joined = false;
    this.#rejoining = true;
    try {
      await this.#join('0');
      this.#bell?.ring();
    } catch {
      // It is tried again with the next look.
    }
  }

  async #read(): Promise<void> {
    const { client, names, settings } = this.#parts;
    const args = [
      'GROUP',
      settings.group,
      this.#consumer,
      'COUNT',
      this.#batch,
      'STREAMS',
      names.stream,
      '>',
    ];
    const entries = entriesRead(await client.command('XREADGROUP', args, { reply: 'bytes' }));
    for (const { id, payload } of entries) this.#accept(id, payload, 1);
  }

  async #recover(): Promise<void> {
    const { client, names, settings } = this.#parts;
    const known = [...this.#owed, ...this.#acks.ids, ...this.#released.keys()];
    // As many more as there are known ones, so that some unknown one is always among them.
    const args = { group: settings.group, consumer: this.#consumer, count: known.length + BATCH, known };
    const entries = await client.run(recoverScript, [names.stream], args);
    for (const { id, payload, deliveries } of entries) this.#accept(id, payload, deliveries);
    this.#doubtful = entries.length >= BATCH;
  }

  async #reclaim(): Promise<void> {
    const { client, clock, names, settings, dead } = this.#parts;
    const { group, redeliverAfterMs: idleMs, maxDeliveries, maxLength, retentionMs } = settings;
    const args = {
      group,
      consumer: this.#consumer,
      idleMs,
      count: this.#batch,
      maxDeliveries,
      maxLength,
      retentionMs,
    };
    const { entries, buried, more } = await client.run(reclaimScript, [names.stream, dead], args);
    for (const { id, payload, deliveries } of entries) this.#accept(id, payload, deliveries);
    for (let i = 0; i < buried; i += 1) this.#parts.onDead();
    this.#lookAt = clock.now() + (more ? 0 : idleMs * LOOK_AT);
  }

  #accept(id: string, payload: Buffer, deliveries: number): void {
    // Known here, or done here and its acknowledgement still on its way.
    if (this.#owed.has(id) || this.#acks.has(id)) return;
    this.#owed.add(id);
    this.#released.delete(id);
    this.#queue.push({ channel: this.#parts.names.stream, payload, id, deliveries });
    this.#keepTimer ??= this.#keepLater();
  }

  #keepLater(): Timer {
    const { clock, settings } = this.#parts;
    return clock.after(settings.redeliverAfterMs * KEEP_AT, () => void this.#keepOwed());
  }

  /** Tells that what is owed is being worked on, so that nobody else is given it. */
  async #keepOwed(): Promise<void> {
    const ids = [...this.#owed];
    try {
      for (const id of await this.#keep(ids, { idleMs: 0 })) this.#giveUp(id);
    } catch {
      // Should it take longer than the idle time, somebody else is given them too.
    }
    this.#keepTimer = this.#closed || this.#owed.size === 0 ? undefined : this.#keepLater();
  }

  async #keep(
    ids: readonly string[],
    how: { readonly idleMs: number; readonly uncount?: boolean },
  ): Promise<readonly string[]> {
    const { client, names, settings } = this.#parts;
    if (ids.length === 0) return [];
    const args = { group: settings.group, consumer: this.#consumer, ids, ...how };
    return client.run(keepScript, [names.stream], args);
  }

  /** Somebody else has it by now: what was not begun here is left to them. */
  #giveUp(id: string): void {
    if (!this.#queue.some((message) => message.id === id)) return;
    this.#queue = this.#queue.filter((message) => message.id !== id);
    this.#owed.delete(id);
  }
}

function startOf(from: string): string {
  if (from === 'beginning') return '0';
  return from === 'new' ? '$' : from;
}
