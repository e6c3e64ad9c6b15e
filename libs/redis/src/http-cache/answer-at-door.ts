/**
 * Puts the near cache at the door of an application, on Express or Fastify: a route that says `atDoor` is answered there
 * when its answer is held in this process, and guards, interceptors, pipes and handler do not run.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Cacheables } from '../cache/index.js';
import type { Bystander, Door } from './door.js';
import { PLATFORM_ROUTE } from './fastify-exchange.js';
import { InvalidHttpCacheOptionsError } from './http-cache.options.js';
import { HttpAnswers } from './route-answers.js';

export interface DoorOptions {
  /**
   * Guards, and on Express middleware of modules, that a hit need not ask: those that count or log, never those that
   * decide who may. A route before which others stand is not answered at the door. @default none
   */
  past?: readonly Bystander[] | undefined;
}

/** What of Nest's application is used here. */
interface DoorApplication {
  get(token: typeof Cacheables, options: { strict: boolean }): Cacheables;
  getHttpAdapter(): { getType(): string; getInstance(): unknown };
  use(middleware: (request: IncomingMessage, response: ServerResponse, next: () => void) => void): unknown;
}

type Hook = (request: object, reply: object, payload: unknown, done: () => void) => void;

/** What of Fastify is used here. */
interface FastifyLike {
  addHook(name: 'onRoute', hook: (route: FastifyRoute) => void): unknown;
}

/** A route of Fastify, before it is made. */
interface FastifyRoute {
  readonly method: string | readonly string[];
  config?: object | undefined;
  preParsing?: Hook | Hook[] | undefined;
}

/** Middleware of a module, and for which paths. */
interface Mounted {
  readonly middleware: unknown;
  readonly forRoutes: readonly { readonly path: string }[];
}

/** What of Nest's own records of an application is used here; Nest shows them to nobody. */
interface Records {
  readonly config: {
    getGlobalGuards(): readonly object[];
    getGlobalRequestGuards(): readonly { readonly metatype: unknown }[];
    getVersioning(): { readonly type: number } | undefined;
  };
  readonly middlewareContainer: {
    getConfigurations(): ReadonlyMap<string, Iterable<Mounted>>;
  };
}

/** Nest's number for versions in the URL. */
const URI = 0;

/**
 * `answerAtDoor(app)` before `app.listen()`. On Express behind whatever has to run for every request (`enableCors`,
 * helmet, compression, limits): what comes later does not run for a hit, modules' middleware and body parsers among it.
 * On Fastify all middleware and `onRequest` hooks run before it, wherever it is called.
 */
export function answerAtDoor(app: DoorApplication, { past = [] }: DoorOptions = {}): void {
  const { routes } = app.get(Cacheables, { strict: false });
  if (!(routes instanceof HttpAnswers)) throw impossible('this application caches no routes');
  const { config, middlewareContainer } = recordsOf(app);
  if (Reflect.get(app, 'isInitialized') === true) {
    throw impossible('the application has been initialised: what comes now stands behind its routes');
  }
  const adapter = app.getHttpAdapter();
  const onFastify = adapter.getType() === 'fastify';
  routes.door.open({
    past,
    guards: () => [
      ...config.getGlobalGuards(),
      ...config.getGlobalRequestGuards().map(({ metatype }) => metatype),
    ],
    middleware: (url) => (onFastify ? [] : mountedFor(url, middlewareContainer.getConfigurations())),
    hasVersionsBesideUrl: () => (config.getVersioning()?.type ?? URI) !== URI,
  });
  if (onFastify) {
    (adapter.getInstance() as FastifyLike).addHook('onRoute', (route) => standBefore(route, routes.door));
  } else {
    app.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
      if (!routes.door.answer(request, response)) next();
    });
  }
}

/**
 * Fastify tells routes apart by more than the URL: each has a mark of its own, by which the door knows where a request
 * would go. It stands behind all of `onRequest`, where versions of Nest disagree about what comes first.
 */
function standBefore(route: FastifyRoute, door: Door): void {
  if (![route.method].flat().includes('GET')) return;
  const mark = {};
  const hook: Hook = (request, reply, _payload, done) => {
    if (!door.answer(request, reply, mark)) done();
  };
  route.config = { ...route.config, [PLATFORM_ROUTE]: mark };
  route.preParsing = [route.preParsing ?? [], hook].flat();
}

function mountedFor(url: string, configurations: ReadonlyMap<string, Iterable<Mounted>>): readonly unknown[] {
  const [path = ''] = url.toLowerCase().split('?');
  return [...configurations.values()]
    .flatMap((mounted) => [...mounted])
    .filter(({ forRoutes }) => forRoutes.some((route) => mayConcern(path, route.path)))
    .flatMap(({ middleware }) => middleware);
}

/**
 * Whether the beginning of a path that is not a pattern is found in a URL. Where it is found does not count, for prefixes
 * and versions may stand before it: rather one middleware too many than one too few.
 */
function mayConcern(path: string, pattern: string): boolean {
  const [fixed = ''] = pattern.toLowerCase().split(/.[?+]|[:*({[\\]/u);
  return path.includes(fixed.replaceAll(/^\/+|\/+$/gu, ''));
}

/** What each record is asked for. */
const QUESTIONS = {
  config: ['getGlobalGuards', 'getGlobalRequestGuards', 'getVersioning'],
  middlewareContainer: ['getConfigurations'],
} as const;

/** Without a word from Nest nobody can say what a hit would pass by. */
function recordsOf(app: object): Records {
  for (const [name, questions] of Object.entries(QUESTIONS)) {
    const record: unknown = Reflect.get(app, name);
    const answers = (question: string): boolean =>
      typeof record === 'object' && record !== null && typeof Reflect.get(record, question) === 'function';
    if (!questions.every(answers)) throw impossible(`this version of Nest has no ${name} to ask`);
  }
  return app as unknown as Records;
}

function impossible(problem: string): InvalidHttpCacheOptionsError {
  return new InvalidHttpCacheOptionsError(`answerAtDoor: ${problem}`, {
    hint: 'call it with the application of NestFactory.create, before app.listen(); see docs/http-cache.md',
  });
}
