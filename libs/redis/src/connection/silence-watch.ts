/**
 * Tells a dead peer from a slow one: a frozen server and a half-open link keep their socket open and say
 * nothing. Two silences in a row, of a caller's request that ran out of time or of a heartbeat, are enough.
 */
import type { Clock, Timer } from '../core/index.js';
import { ask } from './question.js';
import type { Request } from './request.js';
import type { Wire } from './wire.js';

export interface SilenceWatchOptions {
  readonly clock: Clock;
  /** An idle wire is asked this often. */
  readonly heartbeatMs: number;
  /** How long an answer may take before its absence is a silence. */
  readonly timeoutMs: number;
  onSilent(wire: Wire): void;
}

const SILENCES_ALLOWED = 1;
/** Requests that ran out of time together are one silence, not many. */
const SAME_SILENCE_MS = 10;

export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  #wire: Wire | undefined;
  #timer: Timer | undefined;
  #askedAt = -1;
  #silences = 0;
  #lastSilenceAt = -1;
  #latencyMs: number | null = null;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  /** Nothing has been missed so far. */
  get calm(): boolean {
    return this.#silences === 0;
  }

  /** Round trip of the last heartbeat. */
  get latencyMs(): number | null {
    return this.#latencyMs;
  }

  watch(wire: Wire): void {
    this.#wire = wire;
    this.#askedAt = -1;
    this.#silences = 0;
    this.#schedule(this.#options.heartbeatMs);
  }

  stop(): void {
    this.#wire = undefined;
    this.#timer?.cancel();
  }

  /** A caller's deadline passed. Bytes that came since mean that somebody is there, if only slow. */
  noteTimeout(request: Request): void {
    const wire = this.#wire;
    if (wire === undefined || !request.hadFairTime) return;
    if (wire.lastReadAt >= request.sentAt) this.#silences = 0;
    else this.#count(wire);
  }

  #schedule(inMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(inMs, this.#beat);
  }

  readonly #beat = (): void => {
    const wire = this.#wire;
    if (wire === undefined) return;
    const { clock, heartbeatMs, timeoutMs } = this.#options;
    const now = clock.now();
    if (this.#askedAt === -1 || wire.lastReadAt >= this.#askedAt) this.#silences = 0;
    else clock.turn(() => this.#judge(wire));
    if (this.#askedAt === -1 && now - wire.lastReadAt < heartbeatMs) {
      this.#schedule(heartbeatMs);
      return;
    }
    this.#ping(wire, now);
    this.#schedule(Math.min(heartbeatMs, timeoutMs));
  };

  /** One turn of the loop after the time was up: what had arrived has been read by now. */
  #judge(wire: Wire): void {
    if (wire === this.#wire && wire.lastReadAt < this.#askedAt) this.#count(wire);
  }

  #ping(wire: Wire, now: number): void {
    if (this.#askedAt === -1) this.#askedAt = now;
    const answered = (): void => {
      if (wire === this.#wire) this.#askedAt = -1;
    };
    ask(wire, 'PING').then(() => {
      this.#latencyMs = this.#options.clock.now() - now;
      answered();
    }, answered);
  }

  #count(wire: Wire): void {
    const now = this.#options.clock.now();
    if (this.#silences > 0 && now - this.#lastSilenceAt < SAME_SILENCE_MS) return;
    this.#lastSilenceAt = now;
    this.#silences += 1;
    if (this.#silences > SILENCES_ALLOWED) this.#options.onSilent(wire);
  }
}
