/** What Redis could not do becomes an answer a client can act on: try again, or not. */
import { Catch, HttpStatus, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { RedisModuleError } from '@anbar/nestjs-redis';

/** Errors that mean "not now": the request may be sent again. */
const NOT_NOW = new Set([
  'BACKPRESSURE',
  'CIRCUIT_OPEN',
  'COMMAND_REFUSED',
  'COMMAND_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECT_FAILED',
  'NOT_CONNECTED',
  'OUTCOME_UNKNOWN',
  'SESSION_UNAVAILABLE',
  'TASK_NOT_ADDED',
]);

@Catch(RedisModuleError)
export class RedisFaultFilter implements ExceptionFilter<RedisModuleError> {
  catch(error: RedisModuleError, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<ServerResponse>();
    const status = NOT_NOW.has(error.code)
      ? HttpStatus.SERVICE_UNAVAILABLE
      : HttpStatus.INTERNAL_SERVER_ERROR;
    response.statusCode = status;
    response.setHeader('content-type', 'application/problem+json');
    if (status === HttpStatus.SERVICE_UNAVAILABLE) response.setHeader('retry-after', '1');
    const { code, message: detail } = error;
    response.end(JSON.stringify({ type: 'about:blank', title: 'Redis is away', status, code, detail }));
  }
}
