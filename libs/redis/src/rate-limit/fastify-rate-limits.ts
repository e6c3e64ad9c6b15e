/**
 * The limits of endpoints for Fastify: a plugin, and nothing of Fastify is needed to make it. As its first hook it
 * refuses a request before body, middlewares and routes have cost anything.
 */
import type { IncomingMessage } from 'node:http';
import { checkEndpoint } from './endpoint-check.js';
import { PROBLEM_TYPE } from './problem.js';
import { RouteLimits } from './route-limits.js';

interface FastifyRequestLike {
  readonly method: string;
  readonly originalUrl: string;
  readonly raw: IncomingMessage;
}

interface FastifyReplyLike {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(payload: string): unknown;
}

/** As much of a Fastify instance as is used here. */
export interface FastifyHooks {
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, done: (error?: Error) => void) => void,
  ): unknown;
}

/** What of Nest's application is used. */
interface LimitedApplication {
  get(token: typeof RouteLimits): RouteLimits;
}

export type FastifyRateLimitPlugin = (fastify: FastifyHooks) => Promise<void>;

/** Fastify would add the rest itself, and read the type twice for it. */
const PROBLEM_TEXT = `${PROBLEM_TYPE}; charset=utf-8`;

/** `await app.register(fastifyRateLimits(app))` before `listen`, in place of `RateLimitMiddleware`. */
export function fastifyRateLimits(app: LimitedApplication): FastifyRateLimitPlugin {
  const routes = app.get(RouteLimits);
  const plugin: FastifyRateLimitPlugin = (fastify) => {
    fastify.addHook('onRequest', (request, reply, done) => {
      const { method, originalUrl, raw } = request;
      checkEndpoint(
        routes,
        { method, url: originalUrl, request, response: reply, raw },
        {
          pass: done,
          fail: (error) => done(error instanceof Error ? error : new Error(String(error))),
          refuse: (status, problem) => {
            reply.code(status);
            reply.header('content-type', PROBLEM_TEXT);
            reply.send(problem);
          },
        },
      );
    });
    return Promise.resolve();
  };
  // Its hook is for the whole application, not for a scope of its own.
  Reflect.set(plugin, Symbol.for('skip-override'), true);
  return plugin;
}
