/**
 * Value to JSON text. Plain values go to native `JSON.stringify` as they are; what holds a `Date`, a `Map`, a
 * `-0` … is copied with tags first.
 *
 * The depth that is counted is the depth of brackets in the text, so that whatever is accepted here is
 * accepted by the reader, which can only count brackets.
 */
import { types } from 'node:util';
import { UnserializableValueError } from './codec.errors.js';
import type { ResolvedJson } from './json.options.js';
import { kindOf, property } from './json-plain.js';
import { bytesToTag, isTagKey, LONGEST_BIGINT, TAG, TAG_DEPTH, tagged } from './json-tags.js';

export function stringifyTagged(value: unknown, limits: ResolvedJson): string {
  if (value === undefined) {
    throw new UnserializableValueError('undefined can not be stored', {
      hint: 'a miss is undefined; store null to say "there is nothing"',
    });
  }
  const kind = kindOf(value, limits);
  if (kind === 'too-large') throw tooLarge(limits.maxBytes);
  const plain = kind === 'plain' ? value : new TaggedCopy(limits).of(value);
  const text = JSON.stringify(plain);
  if (text.length * 3 > limits.maxBytes && Buffer.byteLength(text) > limits.maxBytes) {
    throw tooLarge(limits.maxBytes);
  }
  return text;
}

/** A copy with tags in place of what JSON does not know; refuses, by path, what can not be stored. */
class TaggedCopy {
  readonly #limits: ResolvedJson;
  /** Property names and indices; written out only for a refusal. */
  readonly #path: (string | number)[] = [];
  readonly #ancestors = new Set<object>();
  #left: number;

  constructor(limits: ResolvedJson) {
    this.#limits = limits;
    this.#left = limits.maxBytes;
  }

  of(value: unknown, depth = 0): unknown {
    this.#spend(1);
    switch (typeof value) {
      case 'string':
        this.#spend(value.length);
        return value;
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0) ? value : this.#number(value, depth);
      case 'boolean':
        return value;
      case 'undefined':
        this.#checkDepth(depth + TAG_DEPTH.scalar);
        return tagged('undefined', null);
      case 'bigint':
        return this.#bigint(value, depth);
      case 'object':
        return value === null ? null : this.#inside(value, depth);
      case 'function':
      case 'symbol':
      default:
        throw this.#refused(`a ${typeof value} can not be stored`);
    }
  }

  #number(value: number, depth: number): unknown {
    this.#checkDepth(depth + TAG_DEPTH.scalar);
    return tagged('number', Object.is(value, -0) ? '-0' : String(value));
  }

  #bigint(value: bigint, depth: number): unknown {
    this.#checkDepth(depth + TAG_DEPTH.scalar);
    const digits = value.toString(16).length > LONGEST_BIGINT ? undefined : value.toString();
    if (digits === undefined || digits.length > LONGEST_BIGINT) {
      throw this.#refused(`a bigint of more than ${LONGEST_BIGINT} digits can not be stored`);
    }
    this.#spend(digits.length);
    return tagged('bigint', digits);
  }

  #inside(value: object, depth: number): unknown {
    if (this.#ancestors.has(value)) throw this.#refused('a cycle can not be stored');
    this.#ancestors.add(value);
    const copy = this.#object(value, depth);
    this.#ancestors.delete(value);
    return copy;
  }

  #object(value: object, depth: number): unknown {
    if (Array.isArray(value)) return this.#list(value, depth + 1);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      const registered = this.#limits.classes.classOf(value);
      if (registered !== undefined) {
        const data = this.#asked(() => registered.toJSON(value));
        return tagged('class', this.#list([registered.name, data], depth + TAG_DEPTH.list));
      }
      const known = this.#builtIn(value, depth);
      if (known !== undefined) return known;
    }
    const toJSON = property(value, 'toJSON');
    if (typeof toJSON !== 'function') return this.#properties(value, depth + 1);
    const result = this.#asked(() => Reflect.apply(toJSON, value, []) as unknown);
    // One that answers with itself is read property by property, as JSON.stringify does.
    return result === value ? this.#properties(value, depth + 1) : this.of(result, depth);
  }

  /** What a user's toJSON throws may quote the value, so it is not passed on. */
  #asked(toJSON: () => unknown): unknown {
    try {
      return toJSON();
    } catch {
      throw this.#refused('toJSON() threw');
    }
  }

  /** Built-in types keep their data in slots that a loop over properties does not see. */
  #builtIn(value: object, depth: number): unknown {
    if (types.isDate(value)) {
      this.#checkDepth(depth + TAG_DEPTH.scalar);
      return tagged('Date', Number.isNaN(value.getTime()) ? null : value.toISOString());
    }
    if (types.isMap(value)) return tagged('Map', this.#list([...value], depth + TAG_DEPTH.list));
    if (types.isSet(value)) return tagged('Set', this.#list([...value], depth + TAG_DEPTH.list));
    if (types.isTypedArray(value)) return this.#bytes(value, depth);
    if (types.isAnyArrayBuffer(value)) {
      return { [`${TAG}ArrayBuffer`]: Object.values(this.#bytes(new Uint8Array(value), depth))[0] };
    }
    if (value instanceof URL) {
      this.#checkDepth(depth + TAG_DEPTH.scalar);
      return tagged('URL', value.href);
    }
    if (types.isBoxedPrimitive(value)) return this.of(value.valueOf(), depth);
    const name = unstorable(value);
    if (name !== undefined) throw this.#refused(`a ${name} can not be stored`);
    return undefined;
  }

  #bytes(view: NodeJS.TypedArray, depth: number): Record<string, unknown> {
    this.#checkDepth(depth + TAG_DEPTH.scalar);
    this.#spend(view.byteLength);
    const tag = bytesToTag(view);
    if (tag === undefined) throw this.#refused('a typed array of an unknown type can not be stored');
    return tag;
  }

  #list(items: readonly unknown[], depth: number): unknown[] {
    this.#checkDepth(depth);
    return Array.from(items, (item, index) => this.#at(index, item, depth));
  }

  #properties(value: object, depth: number): unknown {
    this.#checkDepth(depth);
    const entries: [string, unknown][] = [];
    for (const key of Object.keys(value)) {
      const child = property(value, key);
      if (child === undefined) continue;
      if (key === '__proto__' && this.#limits.protoKeys === 'refuse') {
        throw this.#refused('a property named __proto__ can not be stored');
      }
      this.#spend(key.length);
      entries.push([key, this.#at(key, child, depth)]);
    }
    const [first] = entries;
    if (entries.length === 1 && first !== undefined && isTagKey(first[0])) return tagged(first[0], first[1]);
    // fromEntries defines properties, so `__proto__` becomes one like any other.
    return Object.fromEntries(entries);
  }

  #at(name: string | number, value: unknown, depth: number): unknown {
    this.#path.push(name);
    const copy = this.of(value, depth);
    this.#path.pop();
    return copy;
  }

  #spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw tooLarge(this.#limits.maxBytes);
  }

  #checkDepth(depth: number): void {
    if (depth > this.#limits.maxDepth) {
      throw this.#refused(`the value is nested deeper than ${this.#limits.maxDepth} levels`);
    }
  }

  #refused(what: string): UnserializableValueError {
    const path = `$${this.#path.map(segment).join('')}`;
    return new UnserializableValueError(
      `${what}, at ${path.length > 300 ? `${path.slice(0, 300)}…` : path}`,
      {
        hint: 'store plain data, or register the class with a ClassRegistry (docs/codec.md)',
      },
    );
  }
}

/** The name of a type whose data would be lost without a word, or undefined for an object of properties. */
function unstorable(value: object): string | undefined {
  if (types.isRegExp(value)) return 'RegExp';
  if (types.isPromise(value)) return 'Promise';
  if (types.isNativeError(value)) return 'Error';
  if (types.isWeakMap(value) || types.isWeakSet(value) || value instanceof WeakRef) return 'weak collection';
  if (types.isDataView(value)) return 'DataView';
  const hasToJSON = typeof property(value, 'toJSON') === 'function';
  return !hasToJSON && property(value, Symbol.iterator) !== undefined
    ? 'collection of an unknown class'
    : undefined;
}

function tooLarge(maxBytes: number): UnserializableValueError {
  return new UnserializableValueError(`the value takes more than ${maxBytes} bytes`, {
    hint: 'store less under one key, or raise maxBytes',
    details: { maxBytes },
  });
}

function segment(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  if (/^[A-Za-z_]\w{0,59}$/u.test(key)) return `.${key}`;
  return `[${JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key)}]`;
}
