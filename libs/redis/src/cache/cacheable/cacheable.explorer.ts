/**
 * Looks at every decorated method once, at boot: refuses what could never be cached, tells routes from methods, and
 * binds instances that Nest did not construct itself (`useFactory`, `useValue`).
 */
import { createParamDecorator, Inject, Injectable, RequestMethod, type OnModuleInit } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import {
  bind,
  boundTo,
  decoratedMethods,
  labelOf,
  type CachedMethod,
  type Constructor,
} from './cacheable-binding.js';
import { CacheableMethodError } from './cacheable.errors.js';
import { RouteCall, routeName } from './cacheable-route.js';
import { Cacheables } from './cacheables.js';

/** Nest's own names for what its decorators leave behind; it exports none of them. */
const ROUTE = { path: 'path', method: 'method', args: '__routeArguments__' } as const;
const PASSTHROUGH = '__responsePassthrough__';
const OTHER_ANSWERS = {
  '@Sse': '__sse__',
  '@Redirect': '__redirect__',
  '@Render': '__renderTemplate__',
} as const;
const HANDLERS = [
  'microservices:pattern',
  'graphql:resolver_type',
  'graphql:resolve_property',
  'graphql:resolve_reference',
  'websockets:message_mapping',
] as const;
const RESPONSE_PARAM = 1;
const NEXT_PARAM = 2;

const AskForCall = createParamDecorator((_: unknown, context) => new RouteCall(context));

interface Wrapper {
  readonly metatype: unknown;
  readonly instance: unknown;
}

@Injectable()
export class CacheableExplorer implements OnModuleInit {
  readonly #modules: ModulesContainer;
  readonly #cacheables: Cacheables;
  /** Labels that stand in default keys, and whose they are. */
  readonly #labels = new Map<string, Constructor>();

  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(Cacheables) cacheables: Cacheables,
  ) {
    this.#modules = modules;
    this.#cacheables = cacheables;
    // Not later: Nest reads what a route's handler asks for before it calls `onModuleInit`.
    this.#each(({ metatype }, controller) => {
      if (isClass(metatype)) this.#judgeAll(metatype, controller);
    });
  }

  onModuleInit(): void {
    this.#each(({ instance }, controller) => {
      if (typeof instance !== 'object' || instance === null) return;
      const type: unknown = instance.constructor;
      if (!isClass(type) || decoratedMethods(type).length === 0) return;
      // Prototypes that stand in for request-scoped instances are bound too, which does no harm.
      if (boundTo(instance) === undefined) bind(instance, this.#cacheables);
      this.#judgeAll(type, controller);
    });
  }

  #each(visit: (wrapper: Wrapper, controller: boolean) => void): void {
    for (const module of this.#modules.values()) {
      for (const wrapper of module.controllers.values()) visit(wrapper, true);
      for (const wrapper of module.providers.values()) visit(wrapper, false);
    }
  }

  #judgeAll(type: Constructor, controller: boolean): void {
    for (const method of decoratedMethods(type)) this.#judge(method, type, controller);
  }

  #judge(method: CachedMethod, type: Constructor, controller: boolean): void {
    const label = labelOf(method, type);
    if (controller && metadataOf(type, method, ROUTE.path) !== undefined) {
      if (method.kind === 'CachePut')
        throw refused(label, 'is a route, and @CachePut keeps results of methods');
      if (method.kind === 'Cacheable') {
        prepareRoute(method, type, label);
        // Otherwise the URL tells them apart.
        if (!method.defaultKey) this.#claim(method.routes.get(type) ?? label, method, type);
      } else method.handlers.add(type);
      return;
    }
    if (HANDLERS.some((key) => metadataOf(type, method, key) !== undefined)) method.handlers.add(type);
    else if (method.kind !== 'CacheEvict') refuseSynchronous(method, type, label);
    if (method.defaultKey) this.#claim(label, method, type);
  }

  /** Two classes of one name would read each other's results. */
  #claim(label: string, { cache, kind }: CachedMethod, type: Constructor): void {
    if (kind !== 'Cacheable') return;
    const name = `${cache ?? 'default'}/${label}`;
    const owner = this.#labels.get(name) ?? type;
    if (owner !== type)
      throw refused(label, 'is cached in two classes of the same name, under the same keys');
    if (type.name === '')
      throw refused(label, 'belongs to a class without a name, which its key would begin with');
    this.#labels.set(name, type);
  }
}

function refuseSynchronous(method: CachedMethod, type: Constructor, label: string): void {
  const returned: unknown = Reflect.getMetadata('design:returntype', prototypeOf(type), method.name);
  if (returned === undefined || returned === Promise || returned === Object) return;
  throw new CacheableMethodError(`${label} is synchronous`, {
    hint: 'make it async; a value that is at hand at once needs no cache',
    details: { method: label },
  });
}

/** Has Nest hand the execution context over, behind the arguments the handler asks for. */
function prepareRoute(method: CachedMethod, type: Constructor, label: string): void {
  if (method.routes.has(type)) return;
  const verb: unknown = metadataOf(type, method, ROUTE.method);
  if (verb !== RequestMethod.GET && verb !== RequestMethod.HEAD && verb !== RequestMethod.ALL) {
    throw refused(
      label,
      `answers ${RequestMethod[Number(verb)] ?? 'another method'}, and only GET and HEAD are cached`,
    );
  }
  for (const [name, key] of Object.entries(OTHER_ANSWERS)) {
    if (metadataOf(type, method, key) !== undefined)
      throw refused(label, `is also ${name}, whose answers are not kept`);
  }
  const args = (Reflect.getMetadata(ROUTE.args, type, method.name) ?? {}) as Record<
    string,
    { index: number }
  >;
  const kinds = Object.keys(args).map((key) => Number(key.split(':')[0]));
  const handsOver = Reflect.getMetadata(PASSTHROUGH, type, method.name) === true;
  if (!handsOver && kinds.some((kind) => kind === RESPONSE_PARAM || kind === NEXT_PARAM)) {
    throw refused(label, 'writes its answer itself; @Res({ passthrough: true }) leaves that to Nest');
  }
  const index = 1 + Math.max(-1, ...Object.values(args).map((arg) => arg.index));
  AskForCall()(prototypeOf(type), method.name, index);
  method.routes.set(type, routeName(label, type, handlerOf(type, method) as object));
}

function handlerOf(type: Constructor, { name }: CachedMethod): unknown {
  return Reflect.get(prototypeOf(type), name);
}

function metadataOf(type: Constructor, method: CachedMethod, key: string): unknown {
  const handler = handlerOf(type, method);
  return typeof handler === 'function' ? Reflect.getMetadata(key, handler) : undefined;
}

function refused(label: string, problem: string): CacheableMethodError {
  return new CacheableMethodError(`${label} ${problem}`, {
    hint: 'see docs/cacheable.md for what can be cached where',
    details: { method: label },
  });
}

function isClass(value: unknown): value is Constructor {
  return typeof value === 'function' && typeof value.prototype === 'object' && value.prototype !== null;
}

function prototypeOf(type: Constructor): object {
  return type.prototype as object;
}
