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

const COOKIE = 'Set-Cookie';

type Phase = 'open' | 'storing' | 'released' | 'refused';

/** By which whoever was told to wait hears that it may write on. */
const LISTENING = ['on', 'addListener', 'once'] as const;
type Listener = (...args: Args) => void;

interface Call {
  readonly name: MethodName;
  readonly args: Args;
}

/**
 * Calls of the handler are kept in their order until the session is stored, then made. Middlewares that come
 * later put methods of their own over these and call them: so these stay in use, and then pass calls through.
 */
class HeldAnswer {
  readonly #response: ServerResponse;
  readonly #session: HttpSession<never>;
  readonly #methods: ReadonlyMap<MethodName, Method>;
  /** What stood there before, and what was put over it. */
  readonly #covered: (readonly [name: string, before: Method, own: Method])[] = [];
  /** Told to wait. A middleware in between may listen to a stream of its own in their place, which knows of no wait. */
  readonly #waiting = new Set<Listener>();
  readonly #held: Call[] = [];
  #phase: Phase = 'open';

  constructor(response: ServerResponse, session: HttpSession<never>) {
    this.#response = response;
    this.#session = session;
    this.#methods = new Map(METHODS.map((name) => [name, Reflect.get(response, name) as Method]));
  }

  hold(): void {
    for (const name of METHODS) this.#cover(name, (...args) => this.#take({ name, args }));
    for (const name of LISTENING) {
      const listen = Reflect.get(this.#response, name) as Method;
      this.#cover(name, (event, listener) => {
        if (event === 'drain' && typeof listener === 'function') this.#waiting.add(listener as Listener);
        return Reflect.apply(listen, this.#response, [event, listener]);
      });
    }
  }

  #cover(name: string, own: Method): void {
    this.#covered.push([name, Reflect.get(this.#response, name) as Method, own]);
    Reflect.set(this.#response, name, own);
  }

  #take(call: Call): unknown {
    if (this.#phase === 'released') return this.#make(call);
    if (this.#phase !== 'refused') this.#keep(call);
    return call.name === 'write' ? !this.#isStoring : this.#response;
  }

  #keep(call: Call): void {
    // Whoever asks hears that the head is not sent yet, and may write it once more: the first one counts.
    if (this.#holds('end') || (call.name === 'writeHead' && this.#holds('writeHead'))) return;
    this.#held.push(call);
    // A head alone does not leave yet: what follows it says whether there is time to change the session still.
    if (call.name !== 'writeHead' && this.#phase === 'open') this.#store();
  }

  #holds(wanted: MethodName): boolean {
    return this.#held.some(({ name }) => name === wanted);
  }

  get #isStoring(): boolean {
    return this.#phase === 'storing';
  }

  #store(): void {
    if (!this.#session.isDirty) {
      this.#release();
      return;
    }
    this.#phase = 'storing';
    this.#session
      .commit()
      .then(
        () => this.#release(),
        (error: unknown) => this.#refuse(error),
      )
      .then(() => this.#goOn())
      // Whoever made the call that fails only now is not there any more to be told.
      .catch(() => this.#response.destroy());
  }

  #goOn(): void {
    const hearing = new Set<unknown>(this.#response.listeners('drain'));
    const deaf = [...this.#waiting].filter((listener) => !hearing.has(listener));
    this.#waiting.clear();
    this.#response.emit('drain');
    for (const listener of deaf) Reflect.apply(listener, this.#response, []);
  }

  #release(): void {
    this.#phase = 'released';
    this.#restore();
    const { setCookie } = this.#session;
    if (setCookie !== undefined && !this.#response.headersSent) this.#addCookie(setCookie);
    // A stream goes on, and so may its handler with the session.
    if (!this.#holds('end'))
      this.#response.once('close', () => void this.#session.commit().catch(() => undefined));
    for (const call of this.#held.splice(0)) this.#make(call);
  }

  /** Headers that a handler hands to `writeHead` take the place of those of their name that are set before. */
  #addCookie(setCookie: string): void {
    const at = this.#held.findIndex(({ name }) => name === 'writeHead');
    const head = this.#held[at];
    const args = head && withCookie(head.args, setCookie);
    if (args === undefined) this.#response.appendHeader(COOKIE, setCookie);
    else this.#held[at] = { name: 'writeHead', args };
  }

  /** Nothing has left yet, so the answer can still be the truth; what the handler goes on to say is dropped. */
  #refuse(error: unknown): void {
    this.#phase = 'refused';
    const status = statusOf(error);
    for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name);
    this.#response.setHeader('content-type', 'application/problem+json');
    this.#response.setHeader('cache-control', 'no-store');
    const body = Buffer.from(JSON.stringify(problemOf(status, error)));
    this.#response.setHeader('content-length', body.length);
    // Not by way of the middlewares that came later: to them the answer that is dropped may be over already.
    this.#make({ name: 'writeHead', args: [status] });
    this.#make({ name: 'end', args: [body] });
  }

  #make({ name, args }: Call): unknown {
    return Reflect.apply(this.#methods.get(name) as Method, this.#response, args);
  }

  /** What others have put over it stays. */
  #restore(): void {
    for (const [name, before, own] of this.#covered) {
      if (Reflect.get(this.#response, name) === own) Reflect.set(this.#response, name, before);
    }
  }
}

/** Arguments of `writeHead` with one cookie more; undefined where what is set on the answer before stays. */
function withCookie(args: Args, setCookie: string): Args | undefined {
  const headers: unknown = args.at(-1);
  if (typeof headers !== 'object' || headers === null) return undefined;
  const isNested = Array.isArray(headers) && Array.isArray(headers[0]);
  const pairs = pairsOf(headers);
  const own = pairs.filter(isCookie).flatMap(([, value]) => value);
  if (own.length === 0 && !isNested) return undefined;
  // In one: of several pairs of a name, Node sends the last only where other headers are set before.
  const all = [...pairs.filter((pair) => !isCookie(pair)), [COOKIE, [...own, setCookie]] as const];
  const before = args.slice(0, -1);
  if (isNested) return [...before, all];
  return [...before, Array.isArray(headers) ? all.flat() : Object.fromEntries(all)];
}

type Pair = readonly [name: string, value: unknown];

/** Headers as Node takes them: an object, name and value in turn, or a list of pairs. */
function pairsOf(headers: object): Pair[] {
  if (!Array.isArray(headers)) return Object.entries(headers);
  const flat: readonly unknown[] = Array.isArray(headers[0]) ? (headers.flat() as unknown[]) : headers;
  return flat.flatMap((name, at): Pair[] => (at % 2 === 0 ? [[String(name), flat[at + 1]]] : []));
}

function isCookie([name]: Pair): boolean {
  return name.toLowerCase() === 'set-cookie';
}

/** What a session could not be stored for: it was changed meanwhile, by what is put in, or for want of Redis. */
export function statusOf(error: unknown): number {
  const code = isRedisModuleError(error) ? error.code : undefined;
  if (code === 'SESSION_CONFLICT') return 409;
  return code === 'INVALID_SESSION_DATA' ? 500 : 503;
}

export function problemOf(status: number, error: unknown): Record<string, unknown> {
  const title = isRedisModuleError(error) ? error.message : 'the session could not be stored';
  return { type: 'about:blank', title, status, ...(isRedisModuleError(error) ? { code: error.code } : {}) };
}

/** Express knows of proxies it was told to trust; the socket knows of itself. */
function isOverTls(request: IncomingMessage): boolean {
  return Reflect.get(request, 'secure') === true || Reflect.get(request.socket, 'encrypted') === true;
}
