/**
 * What a single value has to be. The same rules serve the options (through class-validator) and the
 * environment (after its text was read), so both speak with one voice.
 */
import { isIP } from 'node:net';
import { isDuration, parseDuration } from '../core/index.js';
import { kindOf, show } from './masking.js';

export interface Rule {
  holds(value: unknown): boolean;
  /** Completes "'99999' is not …". */
  readonly wanted: string;
  readonly hint?: string | undefined;
  /** Its value is never shown, right or wrong. */
  readonly secret?: boolean;
}

const DURATION_HINT = "write '500ms', '30s', '5m', '1h' or '1d', or a number of seconds";

export const port: Rule = {
  holds: (value) => isWhole(value, 1) && value <= 65_535,
  wanted: 'a port, a whole number from 1 to 65535',
};

export const host: Rule = {
  holds: (value) => typeof value === 'string' && isHost(value),
  wanted: 'a host name or an IP address',
  hint: "the name alone, such as 'redis.internal': the port has its own place, a whole URL goes where a URL is asked for",
};

export const text: Rule = {
  holds: (value) => typeof value === 'string' && value !== '',
  wanted: 'a text with at least one character',
};

export const boolean: Rule = { holds: (value) => typeof value === 'boolean', wanted: 'true or false' };

export const count: Rule = { holds: (value) => isWhole(value, 1), wanted: 'a whole number from 1' };

export const weight: Rule = {
  holds: (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0,
  wanted: 'a number from 0',
};
export const whole: Rule = { holds: (value) => isWhole(value, 0), wanted: 'a whole number from 0' };

export const database: Rule = {
  holds: (value) => isWhole(value, 0),
  wanted: 'the number of a database, a whole number from 0',
};

export const share: Rule = {
  holds: (value) => isNumber(value) && value >= 0 && value <= 1,
  wanted: 'a share from 0 to 1',
};

export const positiveShare: Rule = {
  holds: (value) => isNumber(value) && value > 0 && value <= 1,
  wanted: 'a share above 0 and up to 1',
};

export const duration: Rule = { holds: isDuration, wanted: 'a duration', hint: DURATION_HINT };

export const positiveDuration: Rule = {
  holds: (value) => isDuration(value) && parseDuration(value) > 0,
  wanted: 'a duration above zero',
  hint: DURATION_HINT,
};

export const ttl: Rule = {
  holds: (value) => value === 'never' || positiveDuration.holds(value),
  wanted: "a duration above zero, or 'never'",
  hint: DURATION_HINT,
};

/** It becomes the first segment of every key, so nothing that means something in a key or a glob. */
export const namespace: Rule = {
  holds: (value) => typeof value === 'string' && /^[\w.-]{1,64}$/u.test(value),
  wanted: 'a namespace',
  hint: "1 to 64 letters, digits, '_', '-' or '.', for example 'shop'",
};

export const connectionName: Rule = { ...namespace, wanted: 'a name for a connection' };

export const password: Rule = {
  holds: (value) => typeof value === 'function' || text.holds(value),
  wanted: 'a password, or a function that returns one',
  secret: true,
};

export function oneOf(...values: readonly string[]): Rule {
  return {
    holds: (value) => typeof value === 'string' && values.includes(value),
    wanted: `one of ${values.map((value) => `'${value}'`).join(', ')}`,
  };
}

export const topology = oneOf('standalone', 'cluster', 'sentinel', 'embedded');
export const readFrom = oneOf('primary', 'replica', 'preferReplica');
export const connect = oneOf('lazy', 'required');

/** The sentence for a value the rule refused. */
export function problemWith(rule: Rule, value: unknown): string {
  const shown = rule.secret === true ? kindOf(value) : show(value);
  return `${shown} is ${isQuoted(rule, value) ? 'a text and ' : ''}not ${rule.wanted}`;
}

/** `'6379'` where 6379 would be right: what `config.get('REDIS_PORT')` gives without a schema. */
function isQuoted(rule: Rule, value: unknown): boolean {
  if (typeof value !== 'string' || !/^(?:\d+|true|false)$/u.test(value)) return false;
  return rule.holds(JSON.parse(value));
}

export function isHost(value: string): boolean {
  if (isIP(value) !== 0) return true;
  // Only digits and dots, and yet no IP address: a typo, not a name.
  if (/^[\d.]+$/u.test(value)) return false;
  return (
    value.length <= 253 && /^[a-z\d_](?:[\w-]*[a-z\d_])?(?:\.[a-z\d_](?:[\w-]*[a-z\d_])?)*\.?$/iu.test(value)
  );
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isWhole(value: unknown, from: number): value is number {
  return Number.isSafeInteger(value) && isNumber(value) && value >= from;
}
