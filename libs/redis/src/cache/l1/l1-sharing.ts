/**
 * Callers who share one load get its value as readers of L1 do: none of them can change what another one has.
 * What the loader itself keeps of it is the loader's, so nothing of that is ever frozen.
 */
import { copyOf, freezeDeep, isCopyable } from './l1-isolation.js';
import type { Isolation } from './l1.options.js';

/** Makes another of the same from how it is stored; undefined when that can not be. */
export type Remint = (value: unknown) => unknown;

export class LoadSharing {
  readonly #isolation: Isolation;
  readonly #remint: Remint;

  /** `remint` is for what has no plain copy: instances of classes the codec knows. */
  constructor(isolation: Isolation, remint: Remint) {
    this.#isolation = isolation;
    this.#remint = remint;
  }

  /** One value for each of so many callers; a caller alone gets what was loaded. */
  deal(value: unknown, callers: number): readonly unknown[] {
    if (callers < 2 || this.#isolation === 'shared' || isPrimitive(value)) return repeat(value, callers);
    try {
      return this.#dealCopies(value, callers);
    } catch {
      // It throws when it is looked at, or is nested too deeply: no copy of it can be had, and all wait for it.
      return repeat(value, callers);
    }
  }

  #dealCopies(value: unknown, callers: number): readonly unknown[] {
    const copy = this.#copierOf(value);
    if (copy === undefined) return repeat(value, callers);
    if (this.#isolation === 'frozen') {
      const frozen = copy();
      if (freezeDeep(frozen) === 'as-is') return repeat(frozen, callers);
    }
    return [value, ...Array.from({ length: callers - 1 }, copy)];
  }

  #copierOf(value: unknown): (() => unknown) | undefined {
    if (isCopyable(value)) return () => copyOf(value);
    return this.#remint(value) === undefined ? undefined : () => this.#remint(value);
  }
}

function repeat(value: unknown, times: number): readonly unknown[] {
  return Array.from({ length: times }, () => value);
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' && typeof value !== 'function') || value === null;
}
