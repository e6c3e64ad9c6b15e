/**
 * The look before writing: would native `JSON.stringify` keep this value exactly as it is? Most values of a
 * cache would, so this walk allocates nothing and gives up at the first thing that needs a tag or a refusal.
 */
import type { ResolvedJson } from './json.options.js';
import { isTagKey } from './json-tags.js';

/**
 * Every node takes at least one byte of the text, so the byte limit also bounds this walk: a value that refers
 * to the same part again and again ends here, not in 2^100 steps.
 */
class PlainCheck {
  #left: number;
  readonly #maxDepth: number;
  readonly #refuseProto: boolean;

  constructor(limits: ResolvedJson) {
    this.#left = limits.maxBytes;
    this.#maxDepth = limits.maxDepth;
    this.#refuseProto = limits.protoKeys === 'refuse';
  }

  get exhausted(): boolean {
    return this.#left < 0;
  }

  accepts(value: unknown, depth: number): boolean {
    this.#left -= 1;
    switch (typeof value) {
      case 'string':
        this.#left -= value.length;
        return this.#left >= 0;
      case 'number':
        // NaN and the infinities are the only numbers that do not cancel themselves out.
        return value - value === 0 && !Object.is(value, -0);
      case 'boolean':
        return true;
      case 'object':
        return value === null || this.#acceptsObject(value, depth + 1);
      case 'bigint':
      case 'function':
      case 'symbol':
      case 'undefined':
      default:
        return false;
    }
  }

  #acceptsObject(value: object, depth: number): boolean {
    if (depth > this.#maxDepth || this.#left < 0) return false;
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        if (!this.accepts(value[index], depth)) return false;
      }
      return true;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    return (prototype === Object.prototype || prototype === null) && this.#acceptsProperties(value, depth);
  }

  #acceptsProperties(value: object, depth: number): boolean {
    // `in` is the fast loop of the engine; the prototype is Object.prototype or none.
    for (const key in value) {
      if (key.charCodeAt(0) === 36 && isTagKey(key)) return false;
      if (this.#refuseProto && key === '__proto__') return false;
      const child = property(value, key);
      if (child === undefined) continue;
      this.#left -= key.length;
      if (!this.accepts(child, depth)) return false;
    }
    return true;
  }
}

/** Whether to write it as it is, with tags (or not at all: the copy finds out why), or not at all for its size. */
export function kindOf(value: unknown, limits: ResolvedJson): 'plain' | 'tagged' | 'too-large' {
  const check = new PlainCheck(limits);
  if (check.accepts(value, 0)) return 'plain';
  return check.exhausted ? 'too-large' : 'tagged';
}

/** A named boundary: any object may be asked for any property, and the answer is unknown. */
export function property(value: object, key: string | symbol): unknown {
  return (value as Record<string | symbol, unknown>)[key];
}
