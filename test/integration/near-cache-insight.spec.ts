/** What the near cache and the caches say of themselves, in Nest and on a real server. */
import { Logger, type LoggerService } from '@nestjs/common';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CacheService, createRedis, RedisModule, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { NestFactory } from '@nestjs/core';
import { shared, startStandalone, until } from '../topology/index.js';

/** Boots with that level of logging, and keeps what RedisCache says. */
async function boot(options: RedisModuleOptions, levels: ('log' | 'warn' | 'debug' | 'verbose')[]) {
  const lines: string[] = [];
  const keep =
    (level: string) =>
    (message: unknown, context: unknown): void => {
      if (context === 'RedisCache') lines.push(`${level} ${String(message)}`);
    };
  const logger: LoggerService = {
    log: keep('log'),
    warn: keep('warn'),
    error: keep('error'),
    debug: keep('debug'),
    verbose: keep('verbose'),
  };
  Logger.overrideLogger(levels);
  const app = await NestFactory.createApplicationContext(RedisModule.forRoot(options), {
    abortOnError: false,
    logger,
  });
  onTestFinished(async () => {
    await app.close();
    Logger.overrideLogger(true);
  });
  return { cache: app.get(CacheService), lines };
}

describe('log lines', () => {
  it('say once by what L1 hears of changes; of single calls only when asked for', async () => {
    const { url } = await shared('standalone');
    const quiet = await boot({ url, namespace: 'quiet' }, ['log', 'warn', 'debug', 'verbose']);
    await quiet.cache.set('k', 1);
    await until(() => quiet.lines.length > 0, { what: 'a line' });
    expect(quiet.lines).toEqual([expect.stringMatching(/^log 'default' keeps copies .*\(tracking\)$/u)]);
  });

  it('say why the bus is taken', async () => {
    const rules = '~app:* &app:* +@all -client|tracking';
    const server = await startStandalone({ acl: { user: 'app', password: 'secret', rules } });
    onTestFinished(() => server.stop());
    const { cache, lines } = await boot({ url: server.url }, ['log', 'warn']);
    await cache.get('k');
    await until(() => lines.length > 0, { what: 'a line' });
    expect(lines).toEqual([expect.stringMatching(/^warn 'default' .*by the bus.*NOPERM/u)]);
    expect(lines.join()).not.toContain('secret');
  });

  it('of each hit, save and invalidation, at their levels, without the key', async () => {
    const options = { topology: 'embedded', cache: { log: true, l1: false } } as const;
    const { cache, lines } = await boot(options, ['log', 'debug', 'verbose']);
    await cache.set('customer-4711', 'value');
    await cache.get('customer-4711');
    await cache.delete('customer-4711');
    expect(lines.map((line) => line.replace(/#\w{8} in \d+\.\d\d ms$/u, '#'))).toEqual([
      'debug default: saved #',
      'verbose default: hit (l2) #',
      'debug default: invalidated (delete) #',
    ]);
  });

  it('of nothing where that level is not written', async () => {
    const options = { topology: 'embedded', cache: { log: true, l1: false } } as const;
    const { cache, lines } = await boot(options, ['log', 'warn']);
    await cache.set('k', 1);
    expect(lines).toEqual([]);
  });
});

describe('memory in Redis', () => {
  it('is reckoned from a sample, near what the server counts', async () => {
    const { url } = await shared('standalone');
    const redis = createRedis({ url, namespace: 'weighed', timeout: '5s' }, {});
    onTestFinished(() => redis.disconnect());
    await redis.connect();
    const books = redis.cache.namespace('books');
    const sizes = [100, 1_000, 4_000];
    await books.setMany(
      Array.from({ length: 600 }, (_, i) => [['b', i], 'x'.repeat(sizes[i % 3] ?? 0)] as const),
    );
    const memory = await books.memory();
    let real = 0;
    for (let i = 0; i < 600; i += 1)
      real += await redis.adapter.port.command<number>('MEMORY', [
        'USAGE',
        `weighed:v1:cache:books:{b:${i}}`,
      ]);
    expect(memory.by).toBe('server');
    expect(memory.weighed).toBe(100);
    if (memory.counted) expect(memory.keys).toBe(600);
    expect(memory.bytes / real).toBeGreaterThan(0.6);
    expect(memory.bytes / real).toBeLessThan(1.6);
    await books.flush();
  });
});
