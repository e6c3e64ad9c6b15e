/** `@Cacheable` on a method of any provider, controller, resolver or message handler. */
import { Inject, Optional } from '@nestjs/common';
import {
  BINDING,
  register,
  type CacheDecoratorKind,
  type Constructor,
  type Method,
} from './cacheable-binding.js';
import { callCached, MethodCall } from './cacheable-call.js';
import { CacheableMethodError } from './cacheable.errors.js';
import { loadOptionsOf, type CacheableOptions } from './cacheable.options.js';
import { Cacheables } from './cacheables.js';

/** Fits methods that can be called with what the decorator's functions take, and with more. */
export type CachedMethodDecorator<Args extends readonly unknown[]> = <
  Params extends [...Args, ...unknown[]],
  Returned,
>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<(...args: Params) => Returned>,
) => void;

/**
 * The result is kept under the arguments, and the method runs once for all who ask meanwhile. On a route handler the
 * HTTP answer is kept instead, as bytes. Without the module the method runs as it is written.
 *
 * ```ts
 * @Cacheable({ key: (userId: string) => ['books', 'user', userId], ttl: '30m', tags: (userId) => [`user:${userId}`] })
 * findMine(userId: string): Promise<Book[]> { … }
 * ```
 */
export function Cacheable<Args extends readonly unknown[]>(
  options: CacheableOptions<Args> = {},
): CachedMethodDecorator<Args> {
  const load = loadOptionsOf(options);
  return decorate<Args>(
    { kind: 'Cacheable', defaultKey: options.key === undefined, cache: options.cache },
    (call) => callCached(call, options, load),
  );
}

interface Decoration {
  readonly kind: CacheDecoratorKind;
  readonly defaultKey: boolean;
  readonly cache: string | undefined;
}

/** Puts `call` in the method's place, and has Nest bind every instance of the class to its application. */
export function decorate<Args extends readonly unknown[]>(
  { kind, defaultKey, cache }: Decoration,
  work: (call: MethodCall) => unknown,
): CachedMethodDecorator<Args> {
  return (target, name, descriptor) => {
    const original = originalOf(target, { kind, name, descriptor });
    const owner = target.constructor as Constructor;
    const method = {
      kind,
      name,
      owner,
      original,
      defaultKey,
      cache,
      routes: new WeakMap(),
      labels: new WeakMap(),
      handlers: new WeakSet(),
    };
    const wrapper: Method = function cached(this: object, ...args) {
      return work(new MethodCall(method, this, args));
    };
    likeTheOriginal(wrapper, original);
    if (!(BINDING in target)) {
      Inject(Cacheables)(target, BINDING);
      Optional()(target, BINDING);
    }
    register(target, method, wrapper);
    Object.assign(descriptor, { value: wrapper });
  };
}

function originalOf(
  target: object,
  found: { kind: string; name: string | symbol; descriptor: { readonly value?: unknown } | undefined },
): Method {
  const { kind, name, descriptor } = found;
  const place = `@${kind} on ${String(name)}`;
  if (typeof target === 'function') {
    throw new CacheableMethodError(`${place}: a static method belongs to no application`, {
      hint: 'put it on a method of a provider',
    });
  }
  if (typeof descriptor?.value !== 'function') {
    throw new CacheableMethodError(`${place}: it is not a method`, {
      hint: 'put it on a method of a provider',
    });
  }
  return descriptor.value as Method;
}

/** Other decorators have left their metadata on the function; Nest will look for it on the one that is there. */
function likeTheOriginal(wrapper: Method, original: Method): void {
  for (const property of ['name', 'length'] as const) {
    Object.defineProperty(wrapper, property, { value: original[property], configurable: true });
  }
  for (const key of Reflect.getOwnMetadataKeys(original) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, original), wrapper);
  }
}
