/** What decorators leave at classes and methods, and how the rules of a route come out of it. */
import 'reflect-metadata';
import type { CallContext } from './rate-limit-call.js';
import type { RateLimitRule } from './rate-limit.rules.js';

/** Names of limits, or all of them. */
export type Skips = 'all' | readonly string[];

const RULES = Symbol('anbar:rate-limit-rules');
const SKIPS = Symbol('anbar:rate-limit-skips');

export function addRules(place: object, rules: readonly RateLimitRule[]): void {
  // Decorators run from the bottom up, and are read from the top down.
  Reflect.defineMetadata(RULES, [...rules, ...ownRulesOf(place)], place);
}

/** Of this very place: a class has those of the one it extends only if it has none of its own. */
export function ownRulesOf(place: object): readonly RateLimitRule[] {
  return (Reflect.getOwnMetadata(RULES, place) as readonly RateLimitRule[] | undefined) ?? [];
}

export function setSkips(place: object, skips: Skips): void {
  Reflect.defineMetadata(SKIPS, skips, place);
}

/**
 * From the outside in: rules of all routes, of the class, of the method. A rule replaces one of the same name that
 * stands further out, and a skip takes away what stands further out.
 */
export function rulesOfRoute(
  context: CallContext,
  everywhere: readonly RateLimitRule[],
): readonly RateLimitRule[] {
  const places = [context.getClass(), context.getHandler()];
  return places.reduce<readonly RateLimitRule[]>((outer, place) => {
    const own = rulesOf(place);
    const skips = Reflect.getMetadata(SKIPS, place) as Skips | undefined;
    const kept = outer.filter(
      ({ name }) => !isSkipped(name, skips) && !own.some((rule) => rule.name === name),
    );
    return [...kept, ...own];
  }, everywhere);
}

function rulesOf(place: object): readonly RateLimitRule[] {
  return (Reflect.getMetadata(RULES, place) as readonly RateLimitRule[] | undefined) ?? [];
}

function isSkipped(name: string | undefined, skips: Skips | undefined): boolean {
  return skips === 'all' || (skips !== undefined && skips.includes(name ?? ''));
}
