/** The configuration where it is used: by `@nestjs/config` in a Nest application, and by ioredis on real servers. */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisConfig, redisEnvironmentSchema, validateRedisEnvironment } from '@anbar/nestjs-redis/config';
import type { DynamicModule } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { shared } from '../topology/index.js';

/** What is used of ioredis. */
interface RawClient {
  on(event: 'error', listener: () => void): void;
  connect(): Promise<unknown>;
  echo(text: string): Promise<string>;
  get(key: string): Promise<string | null>;
  disconnect(): void;
}

interface Driver {
  readonly Redis: new (params: object) => RawClient;
  readonly Cluster: new (nodes: readonly object[], options: object) => RawClient;
}

/** The very copy the library brings, as a user of `getConnectionParams()` has it; tests have no dependency on it. */
const { Redis, Cluster } = createRequire(new URL('../../libs/redis/package.json', import.meta.url))(
  'ioredis',
) as Driver;

/** Variables that a test or ConfigModule sets, so that none outlives its test. */
const NAMES = ['REDIS_PORT', 'REDIS_URL', 'REDIS_DB', 'REDIS_TLS', 'REDIS_CACHE_TTL', 'REDIS_NAMESPACE'];
const before = NAMES.map((name) => [name, process.env[name]] as const);

afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  }
});

async function boot(module: Promise<DynamicModule>): Promise<ConfigService> {
  class Application {
    readonly name = 'application';
  }
  const application = await NestFactory.createApplicationContext(
    { module: Application, imports: [await module] },
    { logger: false, abortOnError: false },
  );
  const service = application.get(ConfigService);
  await application.close();
  return service;
}

function envFile(lines: readonly string[]): { path: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'anbar-env-'));
  const path = join(folder, '.env');
  writeFileSync(path, lines.join('\n'));
  return { path, remove: () => rmSync(folder, { recursive: true }) };
}

describe('@nestjs/config', () => {
  it('takes the schema, and hands out what the options take', async () => {
    const file = envFile([
      'REDIS_URL=redis://:p@h:7000',
      'REDIS_DB=2',
      'REDIS_TLS=true',
      'REDIS_CACHE_TTL=300',
    ]);
    const config = await boot(
      ConfigModule.forRoot({ envFilePath: file.path, validationSchema: redisEnvironmentSchema }),
    ).finally(file.remove);
    expect(config.get('REDIS_DB')).toBe(2);
    expect(config.get('REDIS_TLS')).toBe(true);
    expect(config.get('REDIS_CACHE_TTL')).toBe(300);
    const options = {
      url: config.getOrThrow<string>('REDIS_URL'),
      db: config.getOrThrow<number>('REDIS_DB'),
    };
    expect(new RedisConfig(options, {}).defaultConnection).toMatchObject({
      addresses: [{ host: 'h', port: 7000 }],
      db: 2,
      password: 'p',
    });
    // What ConfigModule puts back into the environment is still what the variables may hold.
    expect(RedisConfig.fromEnv().defaultConnection).toMatchObject({ db: 2, tls: {} });
  });

  it('refuses to boot with every fault and no secret in the message', async () => {
    const file = envFile([
      'REDIS_URL=redis://:planted-secret@h:99999',
      'REDIS_DB=one',
      'REDIS_NAMESPACE=a:b',
    ]);
    const booting = boot(
      ConfigModule.forRoot({ envFilePath: file.path, validationSchema: redisEnvironmentSchema }),
    ).finally(file.remove);
    const error: unknown = await booting.catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/^Error: Config validation error: REDIS_URL: 'redis:\/\/\*\*\*@h:99999'/u);
    expect(String(error)).toMatch(/\nREDIS_DB: 'one' is not .*\nREDIS_NAMESPACE: 'a:b' is not a namespace/u);
    expect(String(error)).not.toContain('planted');
  });

  it('takes the function as well', async () => {
    process.env['REDIS_PORT'] = '7000';
    const options = { ignoreEnvFile: true, validate: validateRedisEnvironment };
    expect((await boot(ConfigModule.forRoot(options))).get('REDIS_PORT')).toBe(7000);
    process.env['REDIS_PORT'] = '99999';
    await expect(boot(ConfigModule.forRoot(options))).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });
});

describe('a raw ioredis client', () => {
  async function answer(client: RawClient): Promise<unknown> {
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.echo('here');
    } finally {
      client.disconnect();
    }
  }

  it('of one server', async () => {
    const { url } = await shared('standalone');
    expect(await answer(new Redis(await new RedisConfig({ url }, {}).getConnectionParams()))).toBe('here');
  });

  it('of one server with TLS', async () => {
    const { url, tls } = await shared('tls');
    const config = RedisConfig.fromEnv({ REDIS_URL: url, REDIS_TLS_CA: tls.ca });
    expect(await answer(new Redis(await config.getConnectionParams()))).toBe('here');
  });

  it('behind sentinels', async () => {
    const { name, sentinels } = await shared('sentinel');
    const config = new RedisConfig({ sentinel: { name, nodes: sentinels } }, {});
    expect(await answer(new Redis(await config.getSentinelParams()))).toBe('here');
  });

  it('of a cluster', async () => {
    const { nodes } = await shared('cluster');
    const env = { REDIS_CLUSTER_NODES: nodes.map(({ host, port }) => `${host}:${port}`).join(',') };
    const { nodes: start, options } = await RedisConfig.fromEnv(env).getClusterParams();
    expect(await answer(new Cluster(start, options))).toBe('here');
  });

  it('fails fast when nobody answers', async () => {
    const client = new Redis(await new RedisConfig({ host: '127.0.0.1', port: 1 }, {}).getConnectionParams());
    client.on('error', () => undefined);
    await expect(client.connect()).rejects.toThrow();
    const start = performance.now();
    await expect(client.get('key')).rejects.toThrow();
    expect(performance.now() - start).toBeLessThan(250);
    client.disconnect();
  });
});
