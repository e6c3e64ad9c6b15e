/** Sessions on the routes of a Nest application that runs on Express. On Fastify: `fastifySessions`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, ServiceUnavailableException, type NestMiddleware } from '@nestjs/common';
import { expressSessions, type SessionHandler } from './express-sessions.js';
import { SessionUnavailableError } from './session.errors.js';
import { SessionService } from './session-service.js';

@Injectable()
export class SessionMiddleware implements NestMiddleware<IncomingMessage, ServerResponse> {
  readonly #handle: SessionHandler;

  constructor(@Inject(SessionService) sessions: SessionService) {
    this.#handle = expressSessions(sessions);
  }

  use(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void {
    this.#handle(request, response, (error) => next(toHttp(error)));
  }
}

function toHttp(error: unknown): unknown {
  if (!(error instanceof SessionUnavailableError)) return error;
  return new ServiceUnavailableException(
    { statusCode: 503, code: error.code, message: error.message },
    { cause: error },
  );
}
