/** The route of the figures: the one of nestjs-prometheus, as a class of its own for every registration. */
import { UseGuards, type CanActivate, type Type } from '@nestjs/common';

export type MetricsGuard = Type<CanActivate> | CanActivate;

/** A path is metadata of the class, and two registrations would share it. */
export function createMetricsController(base: Type<object>, guards: readonly MetricsGuard[]): Type<object> {
  @UseGuards(...guards)
  class MetricsController extends base {}
  return MetricsController;
}
