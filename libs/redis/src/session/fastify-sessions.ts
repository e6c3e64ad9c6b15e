/** Sessions for Fastify: a plugin, and nothing of Fastify is needed to make it. */
import { Readable } from 'node:stream';
import { problemOf, statusOf } from './express-sessions.js';
import { HttpSession } from './http-session.js';
import type { SessionData } from './session.js';
import type { SessionService } from './session-service.js';

interface FastifyRequestLike {
  readonly headers: { readonly cookie?: string | undefined };
  readonly protocol: string;
}

interface FastifyReplyLike {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  removeHeader(name: string): unknown;
  send(payload: string): unknown;
}

/** As much of a Fastify instance as is used here. */
export interface FastifyLike {
  decorateRequest(name: string, value: null): unknown;
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>,
  ): unknown;
  addHook(
    name: 'onSend',
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, payload: unknown) => Promise<unknown>,
  ): unknown;
}

export type FastifySessionPlugin = (fastify: FastifyLike) => Promise<void>;

/** `await app.register(fastifySessions(app.get(SessionService)))` */
export function fastifySessions<Data extends object = SessionData>(
  sessions: SessionService<Data>,
): FastifySessionPlugin {
  const plugin: FastifySessionPlugin = (fastify) => {
    fastify.decorateRequest('session', null);
    fastify.addHook('onRequest', async (request, reply) => {
      const overTls = request.protocol === 'https';
      try {
        const session = await HttpSession.of(sessions, { cookie: request.headers.cookie, overTls });
        Reflect.set(request, 'session', session);
        return undefined;
      } catch (error) {
        reply.send(refuse(reply, error));
        // Hooks of others may still work on the answer, and only this keeps Fastify from going on meanwhile.
        return reply;
      }
    });
    fastify.addHook('onSend', async (request, reply, payload) => {
      const session: unknown = Reflect.get(request, 'session');
      if (!(session instanceof HttpSession)) return payload;
      try {
        await session.commit();
      } catch (error) {
        // Nobody reads on what was to be sent.
        if (payload instanceof Readable) payload.destroy();
        return refuse(reply, error);
      }
      if (session.setCookie !== undefined) reply.header('set-cookie', session.setCookie);
      return payload;
    });
    return Promise.resolve();
  };
  // Its hooks are for the whole application, not for a scope of their own.
  Reflect.set(plugin, Symbol.for('skip-override'), true);
  return plugin;
}

/** What tells of the answer that is dropped. */
const OF_THE_BODY = [
  'content-length',
  'content-encoding',
  'content-disposition',
  'content-range',
  'accept-ranges',
  'etag',
  'last-modified',
] as const;

/** The answer has not left yet, so it can still be the truth. */
function refuse(reply: FastifyReplyLike, error: unknown): string {
  const status = statusOf(error);
  reply.code(status);
  for (const name of OF_THE_BODY) reply.removeHeader(name);
  reply.header('content-type', 'application/problem+json');
  reply.header('cache-control', 'no-store');
  return JSON.stringify(problemOf(status, error));
}
