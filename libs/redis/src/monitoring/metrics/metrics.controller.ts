/** The route of the figures: the one of nestjs-prometheus, as a class of its own for every registration. */
import { Get, Header, Res, UseGuards, type CanActivate, type Type } from '@nestjs/common';

export type MetricsGuard = Type<CanActivate> | CanActivate;

/** As much of `PrometheusController` as is used here. */
interface Figures {
  index(response: object): Promise<string>;
}

/** A path is metadata of the class, and two registrations would share it. */
export function createMetricsController(base: Type<Figures>, guards: readonly MetricsGuard[]): Type<Figures> {
  @UseGuards(...guards)
  class MetricsController extends base {
    /** Not to be kept by an interceptor that caches the whole application either. */
    @Get()
    @Header('cache-control', 'no-store')
    override index(@Res({ passthrough: true }) response: object): Promise<string> {
      return super.index(response);
    }
  }
  return MetricsController;
}
