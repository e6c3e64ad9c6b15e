import { expect, it } from 'vitest';
import { InvalidConfigError } from './invalid-config.error.js';
import { redisEnvironmentSchema, validateRedisEnvironment } from './standard-schema.js';

const { validate, version, vendor } = redisEnvironmentSchema['~standard'];

it('is a Standard Schema, version 1', () => {
  expect({ version, vendor }).toEqual({ version: 1, vendor: 'anbar' });
});

it('gives numbers, switches and durations as the options want them, and leaves the rest', () => {
  const input = {
    PATH: '/bin',
    REDIS_URL: 'redis://:p@h',
    REDIS_DB: '2',
    REDIS_TLS: 'false',
    REDIS_TLS_KEY: '-----BEGIN KEY',
    REDIS_CACHE_TTL: '300',
    REDIS_TIMEOUT: '1s',
    REDIS_NAMESPACE: ' shop ',
    REDIS_CONNECT: '',
  };
  expect(validate(input)).toEqual({
    value: { ...input, REDIS_DB: 2, REDIS_TLS: false, REDIS_CACHE_TTL: 300, REDIS_NAMESPACE: 'shop' },
  });
});

it('takes what it gave', () => {
  const once = validate({ REDIS_PORT: '7000', REDIS_TLS: 'true', REDIS_TIMEOUT: '2' });
  expect('value' in once && validate(once.value)).toEqual(once);
});

it('reports every fault with its variable, without secrets', () => {
  const env = {
    REDIS_PASSWORD: 'planted',
    REDIS_URL: 'redis://:planted@h:0',
    REDIS_DB: 'planted',
    REDIS_CLUSTER_NODES: 'planted@',
  };
  const result = validate(env);
  expect(result.issues?.map(({ path }) => path)).toEqual([
    ['REDIS_URL'],
    ['REDIS_CLUSTER_NODES'],
    ['REDIS_DB'],
    ['REDIS_URL, REDIS_CLUSTER_NODES'],
  ]);
  expect(JSON.stringify(result)).not.toContain('planted');
});

it.each([undefined, null, 'text', []])('refuses %j for an environment', (value) => {
  expect(validate(value).issues).toHaveLength(1);
});

it('does not ask for a server: the code may name it', () => {
  expect(validate({ NODE_ENV: 'production', REDIS_PASSWORD: 'p' }).issues).toBeUndefined();
});

it('answers @nestjs/config 4 in its own way, with the same sentences', () => {
  expect(redisEnvironmentSchema.validate({ REDIS_PORT: '7000' })).toEqual({ value: { REDIS_PORT: 7000 } });
  const { error } = redisEnvironmentSchema.validate({ REDIS_PORT: '0', REDIS_DB: 'x' });
  expect(error?.message).toMatch(/^REDIS_PORT: '0' is .*\nREDIS_DB: 'x' is /u);
  expect(redisEnvironmentSchema.validate(undefined).error?.message).toBe('the environment is not an object');
});

it('is also a function that throws', () => {
  expect(validateRedisEnvironment({ REDIS_PORT: '7000' })).toEqual({ REDIS_PORT: 7000 });
  expect(() => validateRedisEnvironment({ REDIS_PORT: '0', REDIS_DB: 'x' })).toThrow(InvalidConfigError);
});
