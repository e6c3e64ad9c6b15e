/**
 * A steady mixed load whose every answer can be judged: reads of keys whose value names its key, writes of a key of their own
 * each, and increments of a counter of their own each, so that a write that ran twice shows on the server as a 2.
 */
import { PLANTED_VALUE } from './planted-secrets.js';
import type { Subject } from './subject.js';

/** A call that has neither been answered nor failed after this time hangs, whatever becomes of it later. */
export const HANGS_AFTER_MS = 2_000;
/** Every other one shares a slot with its like, so that merged reads happen in a cluster too. */
export const READ_KEYS = Array.from({ length: 32 }, (_, index) =>
  index % 2 === 0 ? `read:{together}:${index}` : `read:${index}`,
);
const TICK_MS = 10;
/** Errors kept per run for the hunt for secrets; counting goes on beyond. */
const MAX_ERRORS = 4_000;

export interface CallRecord {
  readonly what: string;
  /** The key that shows on the server how often a write was executed. */
  readonly trace: string | undefined;
  readonly start: number;
  end: number;
  outcome: 'pending' | 'ok' | 'failed' | 'wrong';
  /** The error said that nothing was executed. */
  saidNotExecuted: boolean;
  code: string;
}

export function valueOf(key: string): { of: string; secret: string } {
  return { of: key, secret: PLANTED_VALUE };
}

export class SteadyLoad {
  readonly records: CallRecord[] = [];
  readonly errors: unknown[] = [];
  readonly #subject: Subject;
  readonly #random: () => number;
  readonly #mayMiss: boolean;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;
  #counters = 0;

  constructor(subject: Subject, options: { random: () => number; mayMiss: boolean }) {
    this.#subject = subject;
    this.#random = options.random;
    this.#mayMiss = options.mayMiss;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Records a call; `isRight` judges its answer. */
  async issue(
    what: string,
    call: () => Promise<unknown>,
    judge: { isRight?: (answer: unknown) => boolean; trace?: string } = {},
  ): Promise<void> {
    const record: CallRecord = {
      what,
      trace: judge.trace,
      start: performance.now(),
      end: -1,
      outcome: 'pending',
      saidNotExecuted: false,
      code: '',
    };
    this.records.push(record);
    try {
      const answer = await call();
      record.outcome = judge.isRight === undefined || judge.isRight(answer) ? 'ok' : 'wrong';
    } catch (error) {
      record.outcome = 'failed';
      this.#note(record, error);
    }
    record.end = performance.now();
  }

  increment(): Promise<void> {
    this.#counters += 1;
    const counter = `count:${this.#counters}`;
    return this.issue('incr', () => this.#subject.incr(counter), {
      isRight: (answer) => typeof answer === 'number',
      trace: counter,
    });
  }

  /** Waits until every call has settled, or may be said to hang. */
  async settled(): Promise<void> {
    const giveUpAt = performance.now() + HANGS_AFTER_MS;
    while (performance.now() < giveUpAt && this.records.some(({ outcome }) => outcome === 'pending')) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #tick(): void {
    for (let i = 0; i < 2; i += 1) {
      const key = READ_KEYS[Math.floor(this.#random() * READ_KEYS.length)] ?? 'read:1';
      void this.issue('get', () => this.#subject.get(key), {
        isRight: (answer) => this.#names(answer, key),
      });
    }
    this.#count += 1;
    const written = `wrote:${this.#count}`;
    void this.issue('set', () => this.#subject.set(written, valueOf(written)), {
      isRight: (answer) => answer === true || answer === 'OK',
      trace: written,
    });
    void this.increment();
  }

  #names(answer: unknown, key: string): boolean {
    if (answer === undefined) return this.#mayMiss;
    return typeof answer === 'object' && answer !== null && 'of' in answer && answer.of === key;
  }

  #note(record: CallRecord, error: unknown): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push(error);
    const { code, executed, name, kind } = (error ?? {}) as Record<string, unknown>;
    record.code = [code ?? name ?? 'unknown', ...(kind === undefined ? [] : [kind])].map(String).join(':');
    record.saidNotExecuted = executed === 'no' || code === 'CIRCUIT_OPEN';
  }
}
