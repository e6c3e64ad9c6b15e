/** `RedisModule` for tests: no server, a clock that the test moves, and faults on demand. */
import { Module, type DynamicModule } from '@nestjs/common';
import { RedisModule } from '../src/redis.module.js';
import type { RedisModuleOptions } from '../src/redis.options.js';
import { SURROUNDINGS } from '../src/redis.tokens.js';
import { TestRedis, TestWorld, type RedisTestingOptions } from './test-redis.js';

@Module({})
export class RedisTestingModule {
  /**
   * In the place of `RedisModule.forRoot`, with the same options; addresses among them are left unused.
   *
   * ```ts
   * const app = await Test.createTestingModule({ imports: [RedisTestingModule.forRoot()], providers: [Books] }).compile();
   * const redis = app.get(TestRedis);
   * ```
   */
  static forRoot(
    options: RedisModuleOptions & { isGlobal?: boolean } = {},
    testing: RedisTestingOptions = {},
  ): DynamicModule {
    const world = new TestWorld(testing);
    const definition = RedisModule.forRoot(options);
    return {
      ...definition,
      providers: [
        ...(definition.providers ?? []),
        { provide: SURROUNDINGS, useValue: world },
        { provide: TestRedis, useValue: world.redis },
      ],
      exports: [...(definition.exports ?? []), TestRedis],
    };
  }
}

/** As much of `Test.createTestingModule(…)` as is needed. */
export interface OverridableModule {
  overrideProvider(token: unknown): { useValue(value: unknown): unknown };
}

/**
 * For an application as it is, with its own `RedisModule.forRoot` or `forRootAsync`: no server is asked, whatever its
 * options say.
 *
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const redis = overrideRedis(builder);
 * const app = await builder.compile();
 * ```
 */
export function overrideRedis(builder: OverridableModule, testing: RedisTestingOptions = {}): TestRedis {
  const world = new TestWorld(testing);
  builder.overrideProvider(SURROUNDINGS).useValue(world);
  return world.redis;
}
