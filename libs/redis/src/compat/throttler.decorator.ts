/** `@Throttle` and `@SkipThrottle`, and by what the guard's options and storage are injected. */
import { Inject, type ExecutionContext } from '@nestjs/common';
import type { ThrottlerRouteOptions } from './throttler.options.js';

/** Those of `@nestjs/throttler`, so that its decorators are understood too. */
export const THROTTLER = {
  limit: 'THROTTLER:LIMIT',
  ttl: 'THROTTLER:TTL',
  blockDuration: 'THROTTLER:BLOCK_DURATION',
  getTracker: 'THROTTLER:TRACKER',
  generateKey: 'THROTTLER:KEY_GENERATOR',
  skip: 'THROTTLER:SKIP',
} as const;

export const THROTTLER_OPTIONS = Symbol('anbar:throttler-options');
export const THROTTLER_STORAGE = Symbol('anbar:throttler-storage');

/** Other limits than the module's, by the names of the throttlers. */
export function Throttle(
  options: Readonly<Record<string, ThrottlerRouteOptions<ExecutionContext>>>,
): MethodDecorator & ClassDecorator {
  return marking((target) => {
    for (const [name, given] of Object.entries(options)) {
      for (const what of ['limit', 'ttl', 'blockDuration', 'getTracker', 'generateKey'] as const) {
        Reflect.defineMetadata(THROTTLER[what] + name, given[what], target);
      }
    }
  });
}

/** Takes out the throttlers that are named; without a word the one called `default`. */
export function SkipThrottle(
  skip: Readonly<Record<string, boolean>> = { default: true },
): MethodDecorator & ClassDecorator {
  return marking((target) => {
    for (const [name, value] of Object.entries(skip)) {
      Reflect.defineMetadata(THROTTLER.skip + name, value, target);
    }
  });
}

export const InjectThrottlerOptions = (): PropertyDecorator & ParameterDecorator => Inject(THROTTLER_OPTIONS);
export const InjectThrottlerStorage = (): PropertyDecorator & ParameterDecorator => Inject(THROTTLER_STORAGE);

function marking(mark: (target: object) => void): MethodDecorator & ClassDecorator {
  return (target: object, _key?: string | symbol, descriptor?: { value?: unknown }): void => {
    const method = descriptor?.value;
    mark(typeof method === 'function' ? method : target);
  };
}
