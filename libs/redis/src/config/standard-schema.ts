/**
 * The environment's catalogue as a Standard Schema (standardschema.dev, version 1), which `@nestjs/config`
 * takes as `validationSchema`, and as the function it takes as `validate`.
 */
import { checkLayer } from './check-layer.js';
import type { Env, EnvironmentValues } from './environment.js';
import { InvalidConfigError, type Fault } from './invalid-config.error.js';
import { environmentLayer } from './layer.js';
import { redact } from './masking.js';
import { readEnvironment, secretsOf } from './read-environment.js';

/** The part of the standard that is used here; written out, so that nobody has to install its package. */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type StandardResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly PropertyKey[] | undefined;
}

/**
 * Numbers, switches and durations as the options of the code want them, everything else as it was: so
 * `{ port: config.get('REDIS_PORT') }` is right, and a key that lies in a file stays in its file.
 */
export interface RedisEnvironment {
  readonly [name: string]: unknown;
  readonly REDIS_URL?: string;
  readonly REDIS_PORT?: number;
  readonly REDIS_DB?: number;
  readonly REDIS_TLS?: boolean;
  readonly REDIS_TLS_REJECT_UNAUTHORIZED?: boolean;
}

export interface RedisEnvironmentSchema extends StandardSchema<RedisEnvironment> {
  /** As `@nestjs/config` 4, the one of Nest 11, asks a schema. */
  validate(environment: unknown): { value: unknown; error?: Error };
}

/**
 * @example
 * ConfigModule.forRoot({ validationSchema: redisEnvironmentSchema })
 */
export const redisEnvironmentSchema: RedisEnvironmentSchema = {
  '~standard': {
    version: 1,
    vendor: 'anbar',
    validate(value) {
      if (!isEnvironment(value)) return { issues: [{ message: 'the environment is not an object' }] };
      const { output, faults } = check(value);
      return faults.length === 0 ? { value: output } : { issues: faults.map(asIssue) };
    },
  },
  validate(environment) {
    const result = redisEnvironmentSchema['~standard'].validate(environment);
    if (result.issues === undefined) return { value: result.value };
    return { value: environment, error: new Error(result.issues.map(asSentence).join('\n')) };
  },
};

/**
 * The same for the other place: unlike the schema's, its error is an {@link InvalidConfigError}.
 * @example
 * ConfigModule.forRoot({ validate: validateRedisEnvironment })
 */
export function validateRedisEnvironment(environment: Readonly<Record<string, unknown>>): RedisEnvironment {
  const { output, faults } = check(environment);
  if (faults.length > 0) throw new InvalidConfigError(faults);
  return output;
}

/**
 * Only what the variables say by themselves. That one is missing is not for a schema to say: the code may
 * hold what it would have held.
 */
function check(input: Readonly<Record<string, unknown>>): {
  output: RedisEnvironment;
  faults: readonly Fault[];
} {
  const env = asTexts(input);
  const reading = readEnvironment(env);
  const layer = environmentLayer(reading);
  const faults = [...reading.faults, ...layer.faults, ...checkLayer(layer)];
  return { output: { ...input, ...plainValues(reading.values) }, faults: redact(faults, secretsOf(env)) };
}

function plainValues(values: EnvironmentValues): Readonly<Record<string, unknown>> {
  const plain = Object.entries(values).filter(
    ([name, value]) => typeof value !== 'object' && !/^REDIS_TLS_(?:CA|CERT|KEY)$/u.test(name),
  );
  return Object.fromEntries(plain);
}

function asIssue({ where, problem, hint }: Fault): StandardIssue {
  return { path: [where], message: hint === undefined ? problem : `${problem}; ${hint}` };
}

function asSentence({ path, message }: StandardIssue): string {
  return path === undefined ? message : `${path.join('.')}: ${message}`;
}

/** Loaders hand in numbers and booleans too, when they have read them from a file of another kind. */
function asTexts(input: Readonly<Record<string, unknown>>): Env {
  const texts = Object.entries(input).filter(([, value]) =>
    /^(?:string|number|boolean)$/u.test(typeof value),
  );
  return Object.fromEntries(texts.map(([name, value]) => [name, String(value)]));
}

function isEnvironment(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
