/** Boots an application whose visitors have sessions: by a middleware on Express, by hooks on Fastify. */
import { Module, type MiddlewareConsumer, type NestModule, type Type } from '@nestjs/common';
import {
  fastifySessions,
  SessionMiddleware,
  SessionService,
  type FastifyLike,
} from '@anbar/nestjs-redis/session';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { serve, type Place, type Platform, type Served } from './http-boot.js';

export type OnSend = (request: unknown, reply: unknown, payload: unknown) => Promise<unknown>;

export interface SessionBoot {
  readonly platform: Platform;
  readonly place: Place;
  readonly options?: RedisModuleOptions | undefined;
  /** On Express: the sessions among middlewares of the application's own. @default the sessions alone */
  readonly chain?: readonly unknown[] | undefined;
  /** On Fastify: a hook of the application's own, after those of the sessions. */
  readonly onSend?: OnSend | undefined;
}

export function serveSessions(controllers: readonly Type[], boot: SessionBoot): Promise<Served> {
  const { platform, place, options = {}, chain = [SessionMiddleware], onSend } = boot;
  class Applied implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      if (platform === 'express') consumer.apply(...(chain as Type[])).forRoutes('*path');
    }
  }
  Module({ controllers: [...controllers] })(Applied);
  return serve(
    { imports: [Applied] },
    {
      platform,
      place,
      options,
      prepare: (app) => {
        if (platform === 'express') return;
        const fastify = app.getHttpAdapter().getInstance() as FastifyLike;
        void fastifySessions(app.get(SessionService))(fastify);
        if (onSend !== undefined) fastify.addHook('onSend', onSend);
      },
    },
  );
}
