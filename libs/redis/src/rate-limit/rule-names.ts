/** Names of the rules at one place: each has one, and none is there twice. */
import { InvalidRateLimitError } from './rate-limit.errors.js';
import type { RateLimitRule } from './rate-limit.rules.js';

/** `x`, and `x.2` for a second one without a name; `first` is short enough for a number behind it. */
export function nameRules(
  place: string,
  rules: readonly RateLimitRule[],
  first: string,
): readonly RateLimitRule[] {
  let unnamed = 0;
  const names = new Set<string>();
  return rules.map((rule) => {
    if (rule.name === undefined) unnamed += 1;
    const name = rule.name ?? (unnamed === 1 ? first : `${first}.${unnamed}`);
    if (names.has(name)) throw nameTwice(place, name);
    names.add(name);
    return { ...rule, name };
  });
}

/** Two rules of one name would share what they count, or be asked twice for one subject. */
export function nameTwice(place: string, name: string): InvalidRateLimitError {
  return new InvalidRateLimitError(`${place}: the name '${name}' is there twice`, {
    hint: 'give each rule a name of its own',
  });
}
