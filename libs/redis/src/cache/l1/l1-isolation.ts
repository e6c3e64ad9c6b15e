/**
 * Keeps one caller from changing what another one reads.
 *
 * Plain objects, arrays and class instances are frozen. A `Date`, `Map` or `Set` keeps its data in slots that
 * `Object.freeze` does not reach; it gets a prototype whose changing methods throw, and stays an instance of
 * its class for `instanceof` and `util.types`. Bytes, `URL`s and all else that can not be protected make the
 * whole value one that is copied for every reader.
 */
import { types } from 'node:util';

/** `as-is`: may be handed to all; `copy`: hand out `copyOf`; `unfit`: can neither be protected nor copied. */
export type Handout = 'as-is' | 'copy' | 'unfit';

/** Freezes the value to its depths, once; it must be the cache's own, for the freezing can be seen. */
export function freezeDeep(value: unknown): Handout {
  let handout: Handout = 'as-is';
  const pending: unknown[] = [value];
  const seen = new Set<object>();
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next === 'function') return 'unfit';
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    seen.add(next);
    const fate = freezeOne(next, pending);
    if (fate === 'copy') handout = 'copy';
  }
  return handout === 'copy' && !isCopyable(value) ? 'unfit' : handout;
}

/** Whether `copyOf` gives a whole copy: class instances may hold private state that no copy would have. */
export function isCopyable(value: unknown): boolean {
  const pending: unknown[] = [value];
  const seen = new Set<object>();
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next === 'function') return false;
    if (typeof next !== 'object' || next === null || seen.has(next)) continue;
    seen.add(next);
    if (isContainer(next)) pushParts(next, pending);
    else if (!isLeaf(next)) return false;
  }
  return true;
}

/** A copy of what `isCopyable`; cycles and shared parts stay what they are. */
export function copyOf<T>(value: T): T {
  return copyWith(value, new Map()) as T;
}

function freezeOne(value: object, pending: unknown[]): 'as-is' | 'copy' {
  if (types.isProxy(value) || isBytes(value) || value instanceof URL || types.isRegExp(value)) return 'copy';
  pushParts(value, pending);
  const prototype = guardedPrototype(value);
  if (prototype === undefined && (types.isDate(value) || types.isMap(value) || types.isSet(value)))
    return 'copy';
  if (prototype !== undefined) Object.setPrototypeOf(value, prototype);
  Object.freeze(value);
  return 'as-is';
}

function pushParts(value: object, pending: unknown[]): void {
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (isReference(item)) pending.push(item);
    return;
  }
  if (types.isMap(value)) for (const pair of value) pending.push(pair[0], pair[1]);
  else if (types.isSet(value)) for (const item of value) pending.push(item);
  for (const item of Object.values(value) as unknown[]) if (isReference(item)) pending.push(item);
}

function copyWith(value: unknown, copies: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const copy = emptyCopy(value);
  copies.set(value, copy);
  if (Array.isArray(value) && Array.isArray(copy)) {
    for (const item of value as unknown[]) copy.push(copyWith(item, copies));
  } else if (types.isMap(value) && types.isMap(copy)) {
    for (const [key, item] of value) copy.set(copyWith(key, copies), copyWith(item, copies));
  } else if (types.isSet(value) && types.isSet(copy)) {
    for (const item of value) copy.add(copyWith(item, copies));
  } else if (isContainer(value)) {
    for (const [name, item] of Object.entries(value)) define(copy, name, copyWith(item, copies));
  }
  return copy;
}

/** The whole of a leaf; of a container, one with nothing in it. */
function emptyCopy(value: object): object {
  if (Array.isArray(value)) return [];
  if (types.isMap(value)) return new Map();
  if (types.isSet(value)) return new Set();
  if (types.isDate(value)) return new Date(value.getTime());
  if (value instanceof URL) return new URL(value.href);
  if (types.isRegExp(value)) return new RegExp(value.source, value.flags);
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (isBytes(value)) return structuredClone(value);
  return Object.getPrototypeOf(value) === null ? (Object.create(null) as object) : {};
}

/** By definition, not by assignment: a property named `__proto__` is data here too. */
function define(target: object, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    Reflect.set(target, name, value);
  }
}

function isReference(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isBytes(value: object): boolean {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);
}

function isContainer(value: object): boolean {
  if (types.isProxy(value)) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (types.isMap(value)) return prototype === Map.prototype || prototype === GUARDED_MAP;
  if (types.isSet(value)) return prototype === Set.prototype || prototype === GUARDED_SET;
  return prototype === Object.prototype || prototype === null;
}

function isLeaf(value: object): boolean {
  if (types.isProxy(value)) return false;
  if (isBytes(value) || value instanceof URL || types.isRegExp(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return types.isDate(value) && (prototype === Date.prototype || prototype === GUARDED_DATE);
}

function guardedPrototype(value: object): object | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return GUARDED_DATE;
  if (prototype === Map.prototype) return GUARDED_MAP;
  return prototype === Set.prototype ? GUARDED_SET : undefined;
}

function guarded(base: object, names: readonly string[]): object {
  const refuse = (): never => {
    throw new TypeError(
      "this value is shared by all readers of the cache; copy it, or set l1.isolation to 'copy'",
    );
  };
  const refusals = names.map((name) => [name, { value: refuse }] as const);
  return Object.freeze(Object.create(base, Object.fromEntries(refusals)) as object);
}

const SETTERS = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'));
const GUARDED_DATE = guarded(Date.prototype, SETTERS);
const GUARDED_MAP = guarded(Map.prototype, ['set', 'delete', 'clear']);
const GUARDED_SET = guarded(Set.prototype, ['add', 'delete', 'clear']);
