/** The environment, read by the catalogue: values, faults, warnings, and the secrets to keep out of both. */
import { didYouMean } from './did-you-mean.js';
import {
  ENVIRONMENT,
  isVariableName,
  VARIABLE_NAMES,
  type Env,
  type EnvironmentValues,
  type Variable,
  type VariableName,
} from './environment.js';
import type { Fault } from './invalid-config.error.js';
import { secretsOfUrl } from './redis-url.js';

export interface EnvironmentReading {
  /** Those that are set and not ignored, readable or not. */
  readonly given: ReadonlySet<VariableName>;
  readonly values: EnvironmentValues;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/** An empty variable is an unset one: `docker compose` and CI systems hand on what is not set as empty. */
export function readEnvironment(
  env: Env,
  ignored: ReadonlySet<VariableName> = new Set(),
): EnvironmentReading {
  const values: Partial<Record<VariableName, unknown>> = {};
  const given = new Set<VariableName>();
  const faults: Fault[] = [];
  const warnings = mistypedNames(env);
  for (const name of VARIABLE_NAMES) {
    const text = env[name];
    if (text === undefined || text === '' || ignored.has(name)) continue;
    if (isServiceLink(name, text)) {
      warnings.push(`${name}: set by Kubernetes for a Service named 'redis', so it is not used`);
      continue;
    }
    given.add(name);
    const variable: Variable = ENVIRONMENT[name];
    const outcome = variable.read(text);
    if (outcome.ok) values[name] = outcome.value;
    if (name.endsWith('PASSWORD') && text !== text.trim()) {
      warnings.push(`${name}: begins or ends with white space, which is sent as a part of it`);
    }
    if (!outcome.ok) faults.push({ where: name, problem: outcome.problem, hint: outcome.hint });
  }
  return { given, values: asValues(values), faults, warnings };
}

/** Every text of the environment that may not be printed, used or not. */
export function secretsOf(env: Env): readonly string[] {
  return VARIABLE_NAMES.flatMap((name) => {
    const variable: Variable = ENVIRONMENT[name];
    const text = env[name] ?? '';
    if (variable.secret !== true || text === '') return [];
    return name === 'REDIS_URL' ? secretsOfUrl(text) : [text, text.trim()];
  });
}

/** Only a warning: other programs have variables of their own that begin with REDIS_. */
function mistypedNames(env: Env): string[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith('REDIS_') && !isVariableName(name));
  return unknown.flatMap((name) => {
    const suffixes = VARIABLE_NAMES.map((known) => known.slice('REDIS_'.length));
    const meant = didYouMean(name.slice('REDIS_'.length), suffixes);
    return meant === undefined
      ? []
      : [`${name}: not a variable of this package; did you mean REDIS_${meant}?`];
  });
}

/** `REDIS_PORT=tcp://10.0.0.1:6379` appears in every pod beside a Service that is called redis. */
function isServiceLink(name: VariableName, text: string): boolean {
  return name === 'REDIS_PORT' && /^(?:tcp|udp):\/\//u.test(text);
}

/** Boundary: each value was made by the reader of its own name, which the loop above cannot tell the compiler. */
function asValues(values: Partial<Record<VariableName, unknown>>): EnvironmentValues {
  return values as EnvironmentValues;
}
