/** The shop as an application that is ready to listen: for the program, and for its tests. */
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { answerAtDoor, CacheMiddleware, RateLimitMiddleware } from '@anbar/nestjs-redis';
import { WsAdapter } from '@nestjs/platform-ws';
import { AppModule } from './app.module.js';

export async function openShop(logger: LoggerService | false): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule, {
    abortOnError: false,
    logger,
    // Those who watch orders live would keep the server open for ever.
    forceCloseConnections: true,
  });
  app.useWebSocketAdapter(new WsAdapter(app));
  app.enableCsrfProtection();
  app.useSecurityHeaders({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: "'none'",
        scriptSrc: "'self'",
        styleSrc: "'self'",
        imgSrc: "'self'",
        connectSrc: "'self'",
        formAction: "'none'",
        baseUri: "'none'",
        frameAncestors: "'none'",
      },
    },
    // The demo is asked over plain HTTP on this machine.
    strictTransportSecurity: false,
  });
  // No limit of an endpoint counts what is answered there: see `RunsController.status`.
  answerAtDoor(app, { past: [CacheMiddleware, RateLimitMiddleware] });
  return app;
}
