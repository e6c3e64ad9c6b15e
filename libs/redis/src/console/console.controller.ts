/** The routes of the console. Real ones, so that guards of the application stand before them. */
import { Controller, Get, Inject, Param, Req, Res, UseGuards, VERSION_NEUTRAL } from '@nestjs/common';
import type { CanActivate, Type } from '@nestjs/common';
import { RedisConsole } from './redis-console.js';
import { takeOver } from './exchange.js';

export interface ConsoleRoutes {
  readonly path: string;
  readonly guards: readonly (Type<CanActivate> | CanActivate)[];
}

/**
 * Fastify tells a folder with a slash at its end from the same without, and no path that Express takes too says so. Has
 * to be called before Nest reads the routes.
 */
export function routeFolder(controller: Type<object>): void {
  const prototype = controller.prototype as object;
  const method = Object.getOwnPropertyDescriptor(prototype, 'folder');
  if (method !== undefined) Get('*')(prototype, 'folder', method);
}

/** A class of its own for every registration: a path is metadata of the class, and two would share it. */
export function createConsoleController({ path, guards }: ConsoleRoutes): Type<object> {
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards)
  class ConsoleController {
    constructor(@Inject(RedisConsole) private readonly redisConsole: RedisConsole) {}

    @Get()
    page(@Req() request: object, @Res() response: object): void {
      this.redisConsole.page(takeOver(request, response));
    }

    @Get('assets/:name')
    asset(@Req() request: object, @Res() response: object, @Param('name') name: string): void {
      this.redisConsole.asset(takeOver(request, response), name);
    }

    @Get('api/:name')
    api(@Req() request: object, @Res() response: object, @Param('name') name: string): Promise<void> {
      return this.redisConsole.api(takeOver(request, response), name);
    }

    /** Gets its route by {@link routeFolder}. */
    folder(@Req() request: object, @Res() response: object): void {
      this.redisConsole.folder(takeOver(request, response));
    }
  }
  return ConsoleController;
}
