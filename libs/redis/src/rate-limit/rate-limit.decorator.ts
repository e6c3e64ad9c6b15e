/** `@RateLimit` and `@SkipRateLimit`: what routes say of their limits. */
import { UseGuards, UseInterceptors } from '@nestjs/common';
import { RateLimitGuard } from './rate-limit.guard.js';
import { RateLimitInterceptor } from './rate-limit.interceptor.js';
import { addRules, ownRulesOf, setSkips } from './rate-limit.metadata.js';
import { phaseOf, type RateLimitRule } from './rate-limit.rules.js';

/**
 * Limits a route, or every route of a controller, resolver or gateway. It brings its guard with it.
 *
 * A rule without a name counts for this route, or this class, alone; rules of the same name share what they count.
 * ```ts
 * @Post() @RateLimit({ limit: 100, window: '1m' }, { name: 'daily', limit: 1_000, window: '1d', by: 'user' })
 * ```
 */
export function RateLimit(
  ...rules: readonly [RateLimitRule, ...RateLimitRule[]]
): ClassDecorator & MethodDecorator {
  return decorate((place, words, apply) => {
    const before = ownRulesOf(place).length;
    addRules(
      place,
      rules.map((rule, i) => ({ ...rule, name: rule.name ?? nameOf(words, before + i) })),
    );
    apply(UseGuards(RateLimitGuard));
    if (rules.some((rule) => phaseOf(rule) === 'after-auth')) apply(UseInterceptors(RateLimitInterceptor));
  });
}

/**
 * Takes a route, or a class, out of the limits that stand further out: all of them, or those with these names.
 * Rules at the same place stay.
 */
export function SkipRateLimit(...names: readonly string[]): ClassDecorator & MethodDecorator {
  return decorate((place) => setSkips(place, names.length === 0 ? 'all' : names));
}

type Apply = (decorator: ClassDecorator & MethodDecorator) => void;
type Work = (place: object, words: readonly string[], apply: Apply) => void;

/** `place` is the class or the method's function; `words` name it. */
function decorate(work: Work): ClassDecorator & MethodDecorator {
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor): void => {
    if (key === undefined || descriptor === undefined) {
      const owner = target as new () => object;
      work(owner, [owner.name], (decorator) => void decorator(owner));
      return;
    }
    const words = [target.constructor.name, String(key)];
    work(descriptor.value as object, words, (decorator) => void decorator(target, key, descriptor));
  };
}

/** `Orders.create`, and `Orders.create.2` for a second one there; what can not stand in a name becomes `_`. */
function nameOf(words: readonly string[], index: number): string {
  const name = [...words, ...(index === 0 ? [] : [String(index + 1)])].join('.');
  return name.replace(/[^A-Za-z0-9_.-]+/gu, '_').slice(-64) || 'route';
}
