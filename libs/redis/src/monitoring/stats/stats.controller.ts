/** The report as JSON. */
import { Controller, Get, Header, Inject, UseGuards, type CanActivate, type Type } from '@nestjs/common';
import type { StatsReport } from './stats-report.js';
import { StatsService } from './stats-service.js';

export interface StatsRoute {
  readonly path: string;
  readonly guards: readonly (Type<CanActivate> | CanActivate)[];
}

/** A class of its own for every registration: a path is metadata of the class, and two would share it. */
export function createStatsController({ path, guards }: StatsRoute): Type<object> {
  @Controller(path)
  class StatsController {
    constructor(@Inject(StatsService) private readonly stats: StatsService) {}

    @Get()
    @UseGuards(...guards)
    @Header('cache-control', 'no-store')
    report(): Promise<StatsReport> {
      return this.stats.report();
    }
  }
  return StatsController;
}
