/**
 * One loader call for many keys. Every missing key has a load of its own, with lease and fence; here those
 * that fell to this process meet, and when it is clear for each whether it did, the loader is called once. It is
 * called again only for keys that others were loading and came to nothing with.
 */
import type { Key } from '../../connection/index.js';
import { batchesOf, spans, systemClock, type Clock, type SpanOrigin } from '../../core/index.js';
import type { LoadContext, Loader } from '../call.options.js';
import { LoadHaste } from './load-haste.js';
import { KEYS_AT_ONCE } from './load-pace.js';
import type { LoadSlots } from './load-slots.js';
import { insideLoads, isInsideLoad, loadSpan, scopeHere, type LoadScope } from './loader-run.js';

/** Values in the order of the keys, or by the very key that was handed in. */
export type ManyValues<T> = readonly (T | null | undefined)[] | ReadonlyMap<Key, T | null | undefined>;

export type ManyLoader<T> = (
  missing: readonly Key[],
  context: { readonly signal: AbortSignal },
) => Promise<ManyValues<T>> | ManyValues<T>;

/** What one process has left behind runs out nearly at once, and is taken over together. */
const TOGETHER_MS = 20;

interface Wanted {
  readonly index: number;
  readonly key: Key;
  readonly signal: AbortSignal;
  /** The load of this one key. */
  readonly scope: LoadScope | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchOptions {
  readonly slots: LoadSlots;
  /** Name of the cache. */
  readonly cache: string;
  /** Nobody waits for it. */
  readonly refresh?: boolean;
  readonly clock?: Clock;
}

export class BatchLoader {
  readonly #load: ManyLoader<unknown>;
  readonly #options: BatchOptions;
  readonly #slots: LoadSlots | undefined;
  readonly #origin: SpanOrigin | undefined = spans.here();
  readonly #undecided: Set<number>;
  #wanted: Wanted[] = [];
  /** Each key was decided once. */
  #begun = false;
  #gathering = false;
  #onLeft: { readonly count: number; readonly resolve: () => void } | undefined;

  /** `count`: how many keys there are; each has to be decided before the loader is called. */
  constructor(load: ManyLoader<unknown>, count: number, options: BatchOptions) {
    this.#load = load;
    this.#options = options;
    this.#slots = isInsideLoad() ? undefined : options.slots;
    this.#undecided = new Set(Array.from({ length: count }, (_, i) => i));
  }

  /** The loader of one of the keys. */
  loaderOf(index: number): Loader<unknown> {
    return ({ key, signal }: LoadContext) =>
      new Promise((resolve, reject) => {
        this.#wanted.push({ index, key, signal, scope: scopeHere(), resolve, reject });
        if (this.#undecided.has(index)) this.decided(index);
        else if (this.#undecided.size === 0) this.#gatherLate();
      });
  }

  decided(index: number): void {
    if (!this.#undecided.delete(index)) return;
    const { size } = this.#undecided;
    if (this.#onLeft !== undefined && size <= this.#onLeft.count) this.#onLeft.resolve();
    if (size > 0) return;
    if (this.#begun) this.#gatherLate();
    else {
      this.#begun = true;
      this.#callForWanted();
    }
  }

  /** The load of others that was waited for is over, and it is open whether it came to anything. */
  undecided(index: number): void {
    this.#undecided.add(index);
  }

  /**
   * The outcomes of work for each key. Each is read and its lease asked for before the next ones are read: a miss is not
   * to be old news by then. And the leases of a load that failed are given back in turn, so this settles when all have:
   * who asks again at once is not to meet one of them.
   */
  async outcomesOf<T, R>(keys: readonly T[], work: (key: T, index: number) => Promise<R>): Promise<R[]> {
    const outcomes: Promise<R>[] = [];
    for (const part of batchesOf(keys, KEYS_AT_ONCE)) {
      for (const key of part) {
        const outcome = work(key, outcomes.length);
        // It is looked at when all have settled, and must not pass for one that nobody looks at.
        outcome.catch(() => undefined);
        outcomes.push(outcome);
      }
      await this.#untilLeft(keys.length - outcomes.length);
    }
    await Promise.allSettled(outcomes);
    return Promise.all(outcomes);
  }

  #untilLeft(count: number): Promise<void> {
    if (this.#undecided.size <= count) return Promise.resolve();
    return new Promise((resolve) => (this.#onLeft = { count, resolve }));
  }

  /** A load that was begun anew, because somebody else's came to nothing: it is seldom the only one. */
  #gatherLate(): void {
    if (this.#gathering || this.#wanted.length === 0) return;
    this.#gathering = true;
    const { clock = systemClock } = this.#options;
    const call = (): void => {
      this.#gathering = false;
      if (this.#undecided.size === 0) this.#callForWanted();
    };
    clock.after(TOGETHER_MS, call, { keepAlive: true });
  }

  #callForWanted(): void {
    // Nobody waits any more for those that were given up meanwhile.
    const wanted = this.#wanted.filter(({ signal }) => !signal.aborted);
    this.#wanted = [];
    if (wanted.length > 0) void this.#call(wanted.toSorted((one, other) => one.index - other.index));
  }

  async #call(wanted: readonly Wanted[]): Promise<void> {
    const controller = new AbortController();
    let left = wanted.length;
    const onAbort = (): void => {
      left -= 1;
      if (left === 0) controller.abort(wanted[0]?.signal.reason);
    };
    for (const { signal } of wanted) signal.addEventListener('abort', onAbort, { once: true });
    let leave: (() => void) | undefined;
    try {
      leave = await this.#slots?.take(controller, hasteOf(wanted));
      const keys = wanted.map(({ key }) => key);
      const scopes = wanted.flatMap(({ scope }) => scope ?? []);
      const values = await insideLoads(scopes, () => this.#traced(keys, { signal: controller.signal }));
      wanted.forEach(({ key, resolve }, i) =>
        resolve(values instanceof Map ? values.get(key) : at(values, i)),
      );
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    } finally {
      leave?.();
      for (const { signal } of wanted) signal.removeEventListener('abort', onAbort);
    }
  }

  /** One call of the loader is one span, whatever the number of keys. */
  async #traced(keys: readonly Key[], context: { signal: AbortSignal }): Promise<ManyValues<unknown>> {
    if (!spans.active) return this.#load(keys, context);
    const { cache, refresh = false } = this.#options;
    const plan = {
      ...loadSpan(cache, refresh),
      from: this.#origin,
      attributes: { 'cache.keys': keys.length },
    };
    return spans.around(plan, async () => this.#load(keys, context));
  }
}

/** Whoever waits for one of them waits for all. */
function hasteOf(wanted: readonly Wanted[]): LoadHaste {
  const haste = new LoadHaste();
  for (const { scope } of wanted) scope?.haste.onMade(() => haste.make());
  return haste;
}

function at(values: ManyValues<unknown>, index: number): unknown {
  return Array.isArray(values) ? (values as readonly unknown[])[index] : undefined;
}
