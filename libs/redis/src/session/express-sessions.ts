/**
 * Sessions for Express, and for whatever speaks `(request, response, next)`.
 *
 * The answer is held back until the session is stored, so that the next request of the same visitor finds it; and if it
 * can not be stored, the answer is a 503 and not the success that did not happen.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { callbackify } from 'node:util';
import { isRedisModuleError } from '../core/index.js';
import { HttpSession } from './http-session.js';
import type { SessionData } from './session.js';
import type { SessionService } from './session-service.js';

export type SessionHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

export function expressSessions<Data extends object = SessionData>(
  sessions: SessionService<Data>,
): SessionHandler {
  const open = callbackify(async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { cookie } = request.headers;
    const session = await HttpSession.of(sessions, { cookie, overTls: isOverTls(request) });
    Reflect.set(request, 'session', session);
    const answer = new HeldAnswer(response, session as unknown as HttpSession<never>);
    answer.hold();
  });
  return (request, response, next) => {
    open(request, response, (error) => next(error ?? undefined));
  };
}

type Args = readonly unknown[];
type Method = (...args: Args) => unknown;

/** The ways in which an answer begins to leave. */
const METHODS = ['writeHead', 'flushHeaders', 'write', 'end'] as const;
type MethodName = (typeof METHODS)[number];

/** Calls of the handler are kept in their order until the session is stored, then made. */
class HeldAnswer {
  readonly #response: ServerResponse;
  readonly #session: HttpSession<never>;
  readonly #methods: ReadonlyMap<MethodName, Method>;
  readonly #held: { readonly name: MethodName; readonly args: Args }[] = [];
  #storing = false;

  constructor(response: ServerResponse, session: HttpSession<never>) {
    this.#response = response;
    this.#session = session;
    this.#methods = new Map(METHODS.map((name) => [name, Reflect.get(response, name) as Method]));
  }

  hold(): void {
    for (const name of METHODS) Reflect.set(this.#response, name, (...args: Args) => this.#take(name, args));
  }

  #take(name: MethodName, args: Args): unknown {
    this.#held.push({ name, args });
    // A head alone does not leave yet: what follows it says whether there is time to change the session still.
    if (name !== 'writeHead' && !this.#storing) this.#store();
    return name === 'write' ? !this.#storing : this.#response;
  }

  #store(): void {
    if (!this.#session.isDirty) {
      this.#release();
      return;
    }
    this.#storing = true;
    this.#session.commit().then(
      () => {
        this.#release();
        this.#response.emit('drain');
      },
      (error: unknown) => {
        this.#restore();
        refuse(this.#response, error);
      },
    );
  }

  #release(): void {
    this.#restore();
    const { setCookie } = this.#session;
    if (setCookie !== undefined && !this.#response.headersSent)
      this.#response.appendHeader('Set-Cookie', setCookie);
    const ended = this.#held.some(({ name }) => name === 'end');
    for (const { name, args } of this.#held)
      Reflect.apply(this.#methods.get(name) as Method, this.#response, args);
    // A stream goes on, and so may its handler with the session.
    if (!ended) this.#response.once('close', () => void this.#session.commit().catch(() => undefined));
  }

  #restore(): void {
    for (const [name, method] of this.#methods) Reflect.set(this.#response, name, method);
  }
}

/** Nothing has left yet, so the answer can still be the truth. */
function refuse(response: ServerResponse, error: unknown): void {
  const conflict = isRedisModuleError(error) && error.code === 'SESSION_CONFLICT';
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.statusCode = conflict ? 409 : 503;
  response.setHeader('content-type', 'application/problem+json');
  response.setHeader('cache-control', 'no-store');
  response.end(JSON.stringify(problemOf(response.statusCode, error)));
}

export function problemOf(status: number, error: unknown): Record<string, unknown> {
  const title = isRedisModuleError(error) ? error.message : 'the session could not be stored';
  return { type: 'about:blank', title, status, ...(isRedisModuleError(error) ? { code: error.code } : {}) };
}

/** Express knows of proxies it was told to trust; the socket knows of itself. */
function isOverTls(request: IncomingMessage): boolean {
  return Reflect.get(request, 'secure') === true || Reflect.get(request.socket, 'encrypted') === true;
}
