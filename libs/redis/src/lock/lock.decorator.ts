/**
 * `@Lock(key)` on a method of any provider or controller, of any scope. Nest itself injects the service into
 * the instance, so that nothing has to search for decorated methods, and a module without it does not boot.
 */
import { Inject } from '@nestjs/common';
import type { Key } from '../connection/index.js';
import { InvalidLockOptionsError } from './lock.errors.js';
import type { LockCallOptions } from './lock.options.js';
import { LockService } from './lock-service.js';

/** A key, or how to make one of the arguments of the call. */
export type LockKeyOf<Args extends readonly unknown[]> = Key | ((...args: Args) => Key);

/** The method may take more than its key is made of. */
type Method<Args extends readonly unknown[]> = (...args: [...Args, ...never[]]) => Promise<unknown>;

const SERVICE = Symbol('anbar:lock-service');

/**
 * ```ts
 * @Lock((id: string) => ['invoice', id], { wait: '2s' })
 * async book(id: string) { … }
 * ```
 * The work finds its lock with `currentLock()`.
 */
export function Lock<Args extends readonly unknown[] = []>(
  key: LockKeyOf<Args>,
  options: LockCallOptions = {},
) {
  return <M extends Method<Args>>(
    target: object,
    _name: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void => {
    Inject(LockService)(target, SERVICE);
    const original = descriptor.value;
    if (original === undefined) return;
    const locked = function locked(this: object, ...args: Args): Promise<unknown> {
      const locks: unknown = Reflect.get(this, SERVICE);
      if (!(locks instanceof LockService)) return Promise.reject(notInjected());
      const work = (): Promise<unknown> => Reflect.apply(original, this, args) as Promise<unknown>;
      if (typeof key !== 'function') return locks.run(key, options, work);
      // Whoever calls it is promised a promise, also where no key can be made of what it is called with.
      return Promise.resolve().then(() => locks.run(key(...args), options, work));
    };
    carryOver(original, locked);
    // Same arguments, same promise: what the compiler can not follow through `Reflect`.
    Object.assign(descriptor, { value: locked });
  };
}

/** Routes, guards and the like are noted on the function, by whichever decorators ran before. */
function carryOver(from: object, to: object): void {
  Object.defineProperty(to, 'name', { value: Reflect.get(from, 'name') });
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
}

function notInjected(): InvalidLockOptionsError {
  return new InvalidLockOptionsError('@Lock: the instance was not made by Nest, so it has no lock service', {
    hint: 'provide the class in a module, or call LockService.run() yourself',
  });
}
