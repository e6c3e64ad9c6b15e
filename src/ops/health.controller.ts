import { Controller, Get, Inject } from '@nestjs/common';
import { RedisAdapter, type ClientStatus } from '@anbar/nestjs-redis';

interface Health {
  readonly status: 'ok';
  readonly redis: ClientStatus;
}

@Controller('health')
export class HealthController {
  constructor(@Inject(RedisAdapter) private readonly redis: RedisAdapter) {}

  /** The process answers, so it is alive; what it knows of Redis is told beside it and does not kill it. */
  @Get()
  health(): Health {
    return { status: 'ok', redis: this.redis.status() };
  }
}
