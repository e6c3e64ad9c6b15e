/** Boots Nest for a test, remembers what it logged, and closes it when the test is over. */
import 'reflect-metadata';
import type { INestApplicationContext, LoggerService, ModuleMetadata } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { onTestFinished } from 'vitest';

export interface Booted {
  readonly app: INestApplicationContext;
  readonly log: readonly string[];
}

/** An application of these modules and providers; faults at boot reject instead of ending the process. */
export async function boot(metadata: ModuleMetadata): Promise<Booted> {
  const log: string[] = [];
  const app = await NestFactory.createApplicationContext(moduleOf(metadata), {
    abortOnError: false,
    logger: collector(log),
  });
  onTestFinished(() => app.close());
  return { app, log };
}

/** What the boot fails with. */
export async function bootFailure(metadata: ModuleMetadata): Promise<Error> {
  try {
    await boot(metadata);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('it booted');
}

/** A module as `@Module(metadata) class TestModule {}` makes it, anew for every test. */
function moduleOf(metadata: ModuleMetadata): new () => object {
  class TestModule {
    readonly name = 'the test';
  }
  Module(metadata)(TestModule);
  return TestModule;
}

/** Keeps what RedisModule says, and nothing of Nest's own talk. */
function collector(log: string[]): LoggerService {
  const keep = (message: unknown, context: unknown): void => {
    if (context === 'RedisModule') log.push(String(message));
  };
  return { log: keep, warn: keep, error: keep };
}
