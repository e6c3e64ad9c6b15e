/** `GET /cache/stats`. */
import { Module, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { createStatsController } from './stats.controller.js';
import { InvalidStatsOptionsError } from './stats.errors.js';
import { LoopbackGuard, TokenGuard } from './stats.guard.js';

type Guard = Type<CanActivate> | CanActivate;

export interface RedisStatsModuleOptions {
  /** Where the route lies. @default 'cache/stats' */
  readonly path?: string | undefined;
  /** Who sends it as `Authorization: Bearer …` may read. At least 16 characters. @default none */
  readonly token?: string | undefined;
  /**
   * The application's own guards; with a token both have to agree. An empty list leaves the route open to whoever
   * reaches it.
   * @default none: without a token either, only this machine may read
   */
  readonly guards?: readonly Guard[] | undefined;
  /** What the guards need injected. @default [] */
  readonly imports?: DynamicModule['imports'];
}

/** Shorter ones can be guessed. */
const SHORTEST_TOKEN = 16;

@Module({})
export class RedisStatsModule {
  /**
   * ```ts
   * @Module({ imports: [RedisModule.forRoot(), RedisStatsModule.forRoot({ token: process.env.STATS_TOKEN })] })
   * ```
   * @throws InvalidStatsOptionsError for a token that is too short
   */
  static forRoot(options: RedisStatsModuleOptions = {}): DynamicModule {
    const { path = 'cache/stats', imports = [] } = options;
    return {
      module: RedisStatsModule,
      imports,
      controllers: [createStatsController({ path, guards: guardsOf(options) })],
    };
  }
}

function guardsOf({ token, guards }: RedisStatsModuleOptions): readonly Guard[] {
  if (token === undefined) return guards ?? [new LoopbackGuard()];
  if (token.length < SHORTEST_TOKEN) {
    throw new InvalidStatsOptionsError(`the token of the stats has ${token.length} characters`, {
      hint: `give it at least ${SHORTEST_TOKEN}: openssl rand -base64 24`,
    });
  }
  return [new TokenGuard(token), ...(guards ?? [])];
}
