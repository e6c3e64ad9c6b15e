/**
 * Which methods are decorated, and which instance belongs to which application. There is no global cache: an
 * instance is bound by the container that made it, so two applications in one process keep apart, and an instance
 * nobody has bound (`new Books()` in a test) runs its methods as they are written.
 */
import type { Cacheables } from './cacheables.js';

export type CacheDecoratorKind = 'Cacheable' | 'CachePut' | 'CacheEvict';

/** One decorator on one method. */
export interface CachedMethod {
  readonly kind: CacheDecoratorKind;
  readonly name: string | symbol;
  /** The class that declares it. */
  readonly owner: Constructor;
  readonly original: Method;
  /** No `key` of its own: class and method stand in the key. */
  readonly defaultKey: boolean;
  readonly cache: string | undefined;
  /** Classes in which it is a route handler, with the route's name: class, method and version. */
  readonly routes: WeakMap<Constructor, string>;
  /** What it is called in a class, which every hit asks for. */
  readonly labels: WeakMap<Constructor, string>;
  /** Classes in which Nest calls it: as a resolver or message handler, which may be synchronous, or an evicting route. */
  readonly handlers: WeakSet<Constructor>;
}

export type Constructor = abstract new (...args: never) => object;

export type Method = (this: object, ...args: unknown[]) => unknown;

/** Nest injects under this name; a setter takes it, so nothing shows on the instance. */
export const BINDING = Symbol('anbar:cacheables');

const bindings = new WeakMap<object, Cacheables>();
const methodsOf = new WeakMap<object, CachedMethod[]>();
const wrappers = new WeakSet<Method>();

export function bind(instance: object, cacheables: Cacheables): void {
  bindings.set(instance, cacheables);
}

export function boundTo(instance: object): Cacheables | undefined {
  return bindings.get(instance);
}

export function isWrapper(method: Method): boolean {
  return wrappers.has(method);
}

export function register(prototype: object, method: CachedMethod, wrapper: Method): void {
  wrappers.add(wrapper);
  methodsOf.set(prototype, [...(methodsOf.get(prototype) ?? []), method]);
  if (BINDING in prototype) return;
  Object.defineProperty(prototype, BINDING, {
    configurable: true,
    set(this: object, cacheables: Cacheables) {
      bind(this, cacheables);
    },
  });
}

/** Decorated methods of a class, inherited ones too, without those that a subclass has overridden. */
export function decoratedMethods(type: Constructor): readonly CachedMethod[] {
  const found: CachedMethod[] = [];
  const own = new Set<string | symbol>();
  let prototype: object | null = type.prototype as object | null;
  while (prototype !== null && prototype !== Object.prototype) {
    for (const method of methodsOf.get(prototype) ?? []) if (!own.has(method.name)) found.push(method);
    for (const name of Reflect.ownKeys(prototype)) own.add(name);
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return found;
}

/** `Books.findMine`, and `Books(Shelf).findMine` for what it has from its base class. */
export function labelOf(method: CachedMethod, type: Constructor): string {
  let label = method.labels.get(type);
  if (label === undefined) {
    label = labelFor(method, type);
    method.labels.set(type, label);
  }
  return label;
}

function labelFor(method: CachedMethod, type: Constructor): string {
  const { name, owner } = method;
  const text = typeof name === 'symbol' ? `[${name.description ?? ''}]` : name;
  return owner === type ? `${type.name}.${text}` : `${type.name}(${owner.name}).${text}`;
}

/** A route handler with a `@Cacheable` of its own. */
export function isCachedRoute(type: Constructor, name: string): boolean {
  return decoratedMethods(type).some((method) => method.kind === 'Cacheable' && method.name === name);
}
