/**
 * One loader call for many keys. Every missing key has a load of its own, with lease and fence; here those
 * that fell to this process meet, and when it is clear for each whether it did, the loader is called once.
 */
import type { Key } from '../../connection/index.js';
import { spans, type SpanOrigin } from '../../core/index.js';
import type { LoadContext, Loader } from '../call.options.js';
import { LoadHaste } from './load-haste.js';
import type { LoadSlots } from './load-slots.js';
import { insideLoads, isInsideLoad, loadSpan, scopeHere, type LoadScope } from './loader-run.js';

/** Values in the order of the keys, or by the very key that was handed in. */
export type ManyValues<T> = readonly (T | null | undefined)[] | ReadonlyMap<Key, T | null | undefined>;

export type ManyLoader<T> = (
  missing: readonly Key[],
  context: { readonly signal: AbortSignal },
) => Promise<ManyValues<T>> | ManyValues<T>;

/**
 * Each key takes a call for its lease and one for its value, and all of a load leave together: twice as many would be
 * all that a connection takes by default.
 */
export const KEYS_OF_A_LOAD = 500;

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
}

export class BatchLoader {
  readonly #load: ManyLoader<unknown>;
  readonly #options: BatchOptions;
  readonly #slots: LoadSlots | undefined;
  readonly #origin: SpanOrigin | undefined = spans.here();
  readonly #undecided: Set<number>;
  #wanted: Wanted[] = [];

  /** `count`: how many keys are missing; each has to be decided before the loader is called. */
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
        this.decided(index);
        // All others are long decided: a load that was begun anew, because somebody else's came to nothing.
        this.#callWhenDecided();
      });
  }

  decided(index: number): void {
    if (this.#undecided.delete(index)) this.#callWhenDecided();
  }

  #callWhenDecided(): void {
    if (this.#undecided.size > 0 || this.#wanted.length === 0) return;
    const wanted = this.#wanted.toSorted((one, other) => one.index - other.index);
    this.#wanted = [];
    void this.#call(wanted);
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
