/** Takes locks: one question to Redis, and then a place in the line of those who wait in this process. */
import { randomBytes } from 'node:crypto';
import type { RedisClient, Subscription } from '../connection/index.js';
import type { Clock } from '../core/index.js';
import type { Grant } from './hold.js';
import { LockBusyError, LockClosedError, LockUnavailableError } from './lock.errors.js';
import type { LockNames } from './lock.keys.js';
import type { ResolvedLock } from './lock.options.js';
import {
  leaveScript,
  OWNER_LENGTH,
  releaseScript,
  renewScript,
  takeInOrderScript,
  takeScript,
  TOKEN_LENGTH,
  TURN_MS,
} from './lock.scripts.js';
import { WaitingLine, type Attempt, type Waiter } from './waiting-line.js';

export interface LockLinesParts {
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly random: () => number;
  /** Listened to from the first wait on, so that the connection stays between two waits. */
  readonly wakeHome: string;
}

export interface Ask {
  readonly names: LockNames;
  readonly settings: ResolvedLock;
  readonly signal: AbortSignal | undefined;
}

interface OpenLine {
  readonly line: WaitingLine;
  readonly subscription: Subscription;
}

export class LockLines {
  readonly #parts: LockLinesParts;
  /** Names this process among those who wait. */
  readonly #owner = randomBytes((OWNER_LENGTH * 3) / 4).toString('base64url');
  readonly #lines = new Map<string, OpenLine>();
  #tickets = 0;
  readonly #stopListening: () => void;
  #staying: Subscription | undefined;
  #closed = false;

  constructor(parts: LockLinesParts) {
    this.#parts = parts;
    // Nothing will be heard from now on. Asking in vain tells those who wait why they wait.
    this.#stopListening = parts.client.on('lost', () => {
      for (const { line } of this.#lines.values()) line.ring();
    });
  }

  /** How many wait at the moment. */
  get waiting(): number {
    let waiting = 0;
    for (const { line } of this.#lines.values()) waiting += line.size;
    return waiting;
  }

  async take(ask: Ask): Promise<Grant> {
    const { settings } = ask;
    const startedAt = this.#parts.clock.now();
    const grant = await this.#takeOrWait(ask);
    if (grant.ttlMs === settings.ttlMs) return grant;
    const fitted = await this.#fit(ask, grant);
    if (fitted !== undefined) return fitted;
    const waitMs = Math.max(0, settings.waitMs - (this.#parts.clock.now() - startedAt));
    return this.take({ ...ask, settings: { ...settings, waitMs } });
  }

  /** The lock may have been asked for by somebody else who waited here, and live as long as they wanted. */
  async #takeOrWait(ask: Ask): Promise<Grant> {
    if (this.#closed) throw closed();
    const { settings, names } = ask;
    const ticket = settings.fifo ? this.#nextTicket() : '';
    const known = this.#lines.get(lineOf(ask))?.line;
    // Whoever waits here already is asked for; one more question would bring nothing.
    if (known !== undefined && !settings.fifo && settings.waitMs > 0) return known.join(waiterOf(ask), '');
    const attempt = await this.#firstAttempt(ask, ticket);
    const { grant } = attempt;
    const before = this.#lines.get(lineOf(ask))?.line;
    if (grant !== undefined && (before === undefined || attempt.ticket === ticket)) {
      // The ticket that was used up was of somebody who has left.
      if (attempt.ticket !== ticket) this.#leave(names, ticket);
      return grant;
    }
    if (settings.waitMs === 0 || ask.signal?.aborted === true || this.#closed) {
      if (ticket !== '') this.#leave(names, ticket);
      before?.hand(attempt);
      ask.signal?.throwIfAborted();
      throw this.#closed ? closed() : busy(0);
    }
    const line = this.#openLine(ask);
    const granted = line.join(waiterOf(ask), ticket);
    // The turn was that of this process, and others of it came earlier.
    line.hand(attempt);
    line.ringIn(grant === undefined ? attempt.leftMs : grant.ttlMs);
    return granted;
  }

  /** Makes a lock live as long as its holder wants; undefined when it has run out meanwhile. */
  async #fit({ names, settings }: Ask, { token, fence }: Grant): Promise<Grant | undefined> {
    const { client, clock } = this.#parts;
    const { ttlMs } = settings;
    const sentAt = clock.now();
    try {
      const renewed = await client.run(renewScript, [names.held], { token, ttlMs });
      return renewed ? { token, fence, sentAt, ttlMs } : undefined;
    } catch (error) {
      this.#giveBack(names, token);
      throw unavailable(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
    for (const { line } of [...this.#lines.values()]) line.fail(closed());
    void this.#staying?.close();
    this.#staying = undefined;
  }

  /** Nobody waits on a service that can not reach Redis: whoever comes now is told at once. */
  async #firstAttempt(ask: Ask, ticket: string): Promise<Attempt> {
    try {
      return await this.#attempt(ask, ticket, ask.settings.ttlMs);
    } catch (error) {
      if (ticket !== '') this.#leave(ask.names, ticket);
      throw unavailable(error);
    }
  }

  async #attempt({ names, settings }: Ask, ticket: string, ttlMs: number): Promise<Attempt> {
    const { client, clock } = this.#parts;
    const token = randomBytes(16).toString('base64url').slice(0, TOKEN_LENGTH);
    const sentAt = clock.now();
    const { held, fence, queue, turn, wake: channel } = names;
    try {
      const taken = settings.fifo
        ? await client.run(takeInOrderScript, [held, fence, queue, turn], { token, ttlMs, ticket, channel })
        : await client.run(takeScript, [held, fence], { token, ttlMs });
      const grant = taken.fence === undefined ? undefined : { token, fence: taken.fence, sentAt, ttlMs };
      return { grant, leftMs: taken.leftMs, ticket: taken.ticket };
    } catch (error) {
      // It may have been executed: then the lock is ours and nobody knows.
      if (Reflect.get(Object(error), 'executed') === 'unknown') this.#giveBack(names, token);
      throw error;
    }
  }

  #openLine(ask: Ask): WaitingLine {
    const id = lineOf(ask);
    const open = this.#lines.get(id);
    if (open !== undefined) return open.line;
    const { client, clock, random, wakeHome } = this.#parts;
    const { names } = ask;
    // A connection nobody listens on is closed, and opening it again would delay the next wait.
    this.#staying ??= client.subscribe({ channels: [wakeHome], onMessage: () => undefined });
    const line = new WaitingLine({
      clock,
      random,
      attempt: (ticket, ttlMs) => this.#attempt(ask, ticket, ttlMs),
      leave: (ticket) => this.#leave(names, ticket),
      giveBack: ({ token }) => this.#giveBack(names, token),
      onEmpty: () => this.#closeLine(id, line),
    });
    const ring = (): void => line.ring();
    const subscription = client.subscribe({
      channels: [names.wake],
      onMessage: ({ payload }) => {
        const called = payload.toString();
        if (called === '' || called === this.#owner) line.ring();
        // Somebody else's turn. They may be gone: look whether they came.
        else line.ringIn(TURN_MS);
      },
      onGap: ring,
    });
    // Until the server has confirmed it, the end of a hold may have passed by.
    subscription.ready.then(ring, () => undefined);
    this.#lines.set(id, { line, subscription });
    return line;
  }

  #closeLine(id: string, line: WaitingLine): void {
    const open = this.#lines.get(id);
    if (open?.line !== line) return;
    this.#lines.delete(id);
    void open.subscription.close();
  }

  #leave({ held, queue, turn, wake: channel }: LockNames, ticket: string): void {
    this.#parts.client.run(leaveScript, [held, queue, turn], { ticket, channel }).catch(() => undefined);
  }

  #giveBack({ held, fence, queue, turn, wake: channel }: LockNames, token: string): void {
    const keys = [held, fence, queue, turn] as const;
    // When it does not arrive, the lock runs out.
    this.#parts.client.run(releaseScript, keys, { token, channel }).catch(() => undefined);
  }

  #nextTicket(): string {
    this.#tickets += 1;
    return this.#owner + this.#tickets.toString(36);
  }
}

function lineOf({ names, settings }: Ask): string {
  return `${settings.fifo ? 'fifo' : 'any'} ${names.held}`;
}

function waiterOf({ settings, signal }: Ask): Waiter {
  const { ttlMs, waitMs } = settings;
  return {
    ttlMs,
    waitMs,
    signal,
    timedOut: (failure) => (failure === undefined ? busy(waitMs) : unavailable(failure)),
  };
}

function busy(waitMs: number): LockBusyError {
  const within = waitMs === 0 ? '' : ` and was not free within ${waitMs} ms`;
  return new LockBusyError(`the lock is held by somebody else${within}`, {
    hint: 'come back later, or raise wait',
    details: { waitMs },
  });
}

function unavailable(cause: unknown): LockUnavailableError {
  const why = cause instanceof Error ? cause.message : 'unknown';
  return new LockUnavailableError(`nobody knows who holds the lock, so nobody gets it: ${why}`, {
    hint: 'Redis has to answer for a lock to be given; do not run the work without it',
    cause,
  });
}

function closed(): LockClosedError {
  return new LockClosedError('the lock service was closed');
}
