/** Boots an application that listens, on Express or Fastify, on the embedded default or on Redis. */
import 'reflect-metadata';
import { Module, type INestApplication, type LoggerService, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { onTestFinished } from 'vitest';
import { RedisModule } from '@anbar/nestjs-redis';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { shared } from '../topology/index.js';

export type Platform = 'express' | 'fastify';
export type Place = 'embedded' | 'redis';

export const PLATFORMS: readonly Platform[] = ['express', 'fastify'];
export const PLACES: readonly Place[] = ['embedded', 'redis'];
/** Each platform in each place. */
export const CORNERS = PLATFORMS.flatMap((platform) => PLACES.map((place) => ({ platform, place })));

export interface Served {
  readonly app: INestApplication;
  readonly url: string;
  /** What the cache has warned of. */
  readonly warnings: readonly string[];
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  json<T>(): T;
}

let count = 0;

export async function serve(
  metadata: ModuleMetadata,
  where: {
    platform: Platform;
    place?: Place;
    options?: RedisModuleOptions;
    prepare?: (app: INestApplication) => void;
    bootOnly?: boolean;
  },
): Promise<Served> {
  const { platform, place = 'embedded', options = {}, prepare } = where;
  const url = place === 'redis' ? (await shared('standalone')).url : undefined;
  count += 1;
  const warnings: string[] = [];
  const module = RedisModule.forRoot({
    namespace: `http-${process.pid}-${Date.now().toString(36)}-${count}`,
    ...(url === undefined ? { topology: 'embedded' as const } : { url }),
    ...options,
  });
  const app = await NestFactory.create(
    moduleOf({ ...metadata, imports: [module, ...(metadata.imports ?? [])] }),
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
    { abortOnError: false, logger: collector(warnings) },
  );
  prepare?.(app);
  await app.listen(0, '127.0.0.1');
  onTestFinished(() => app.close());
  const base = await app.getUrl();
  return {
    app,
    url: base,
    warnings,
    async get(path, headers = {}, method = 'GET') {
      const response = await fetch(base + path, { method, headers, redirect: 'manual' });
      const text = await response.text();
      return {
        status: response.status,
        text,
        headers: response.headers,
        json: <T>() => JSON.parse(text) as T,
      };
    },
  };
}

function moduleOf(metadata: ModuleMetadata): new () => object {
  class TestModule {
    readonly name = 'the test';
  }
  Module(metadata)(TestModule);
  return TestModule;
}

function collector(warnings: string[]): LoggerService {
  return {
    log: () => undefined,
    warn: (message: unknown, context: unknown) => {
      if (context === 'RedisCache') warnings.push(String(message));
    },
    error: (message: unknown, ...rest: unknown[]) => {
      if (process.env['HTTP_BOOT_LOG'] !== undefined) console.error(message, ...rest);
    },
  };
}
