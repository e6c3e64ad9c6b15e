/**
 * Every decorator in every place Nest calls a method from: providers, routes, message handlers and resolvers, of every
 * scope, inherited or not, on both platforms, embedded and on Redis. Mercurius serves resolvers on Fastify only.
 */
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  Post,
  Scope,
  type INestApplication,
  type MiddlewareConsumer,
  type ModuleMetadata,
  type NestModule,
  type Type,
} from '@nestjs/common';
import { Args, GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { ClientProxyFactory, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cacheable, CacheEvict, CacheMiddleware, CachePut } from '@anbar/nestjs-redis';
import { reservePort } from '../topology/free-port.js';
import { CORNERS, serve, type Place, type Platform, type Served } from './http-boot.js';

/** Where a decorated method lives, as a client reaches it. */
interface Home {
  find(id: string): Promise<string>;
  /** `@CacheEvict`. */
  drop(id: string): Promise<unknown>;
  /** `@CachePut`; routes have none. */
  put?(id: string, title: string): Promise<unknown>;
}

let runs = new Map<string, number>();

function ran(home: string, id: string): string {
  const count = (runs.get(`${home} ${id}`) ?? 0) + 1;
  runs.set(`${home} ${id}`, count);
  return `${home} ${id}, ${count}`;
}

const keyOf = (id: string): readonly string[] => ['title', id];

// -- providers --------------------------------------------------------------------------------------------------

class Titles {
  readonly home: string = 'nobody';

  @Cacheable()
  async byDefaultKey(id: string): Promise<string> {
    return ran(`${this.home}, its own key`, id);
  }
}

/** Each has keys and tags of its own, so that all of them can share one cache. */
function titles(home: string): Type<Titles> {
  class Own extends Titles {
    override readonly home = home;

    @Cacheable({ key: (id: string) => [home, ...keyOf(id)], tags: (id: string) => [`${home}:${id}`] })
    async find(id: string): Promise<string> {
      return ran(home, id);
    }

    @CachePut({ key: (id: string) => [home, ...keyOf(id)] })
    async put(_id: string, title: string): Promise<string> {
      return title;
    }

    @CacheEvict({ key: (id: string) => [home, ...keyOf(id)], tags: (id: string) => [`${home}:${id}`] })
    async drop(id: string): Promise<string> {
      return `dropped ${id}`;
    }
  }
  Object.defineProperty(Own, 'name', { value: home });
  return Own;
}

const Singleton = titles('singleton');
Injectable()(Singleton);
const PerRequest = titles('per request');
Injectable({ scope: Scope.REQUEST })(PerRequest);
const Transient = titles('transient');
Injectable({ scope: Scope.TRANSIENT })(Transient);
/** All of its methods, and their decorators, come from its base class. */
class Inherited extends titles('inherited') {}
Injectable()(Inherited);

interface Called {
  find(id: string): Promise<string>;
  put(id: string, title: string): Promise<string>;
  drop(id: string): Promise<string>;
  byDefaultKey(id: string): Promise<string>;
}

@Controller('provider')
class Counter {
  readonly #of: Readonly<Record<string, Called>>;

  constructor(
    @Inject(Singleton) singleton: Called,
    @Inject(PerRequest) perRequest: Called,
    @Inject(Transient) transient: Called,
    @Inject(Inherited) inherited: Called,
  ) {
    this.#of = { singleton, perRequest, transient, inherited };
  }

  @Get([':of/:method/:id', ':of/:method/:id/:title'])
  call(
    @Param('of') of: string,
    @Param('method') method: keyof Called,
    @Param('id') id: string,
    @Param('title') title: string,
  ): Promise<string> {
    const provider = this.#of[of];
    if (provider === undefined) throw new Error(`nobody is called ${of}`);
    return provider[method](id, title);
  }
}

// -- routes -----------------------------------------------------------------------------------------------------

class Routes {
  get home(): string {
    return this.constructor.name;
  }

  @Get(':id')
  @Cacheable({ ttl: '1m', tags: (id: string) => [`route:${id}`] })
  find(@Param('id') id: string): string {
    return ran(this.home, id);
  }

  @Post(':id')
  @CacheEvict({ tags: (id: string) => [`route:${id}`] })
  drop(@Param('id') id: string): string {
    return `dropped ${id}`;
  }
}

@Controller('route')
class OwnRoutes extends Routes {
  @Get(':id')
  @Cacheable({ ttl: '1m', tags: (id: string) => [`own:${id}`] })
  override find(@Param('id') id: string): string {
    return ran('own route', id);
  }

  @Post(':id')
  @CacheEvict({ tags: (id: string) => [`own:${id}`] })
  override drop(@Param('id') id: string): string {
    return `dropped ${id}`;
  }
}

@Controller('route-inherited')
class InheritedRoutes extends Routes {}

@Controller({ path: 'route-per-request', scope: Scope.REQUEST })
class RoutesPerRequest extends Routes {}

// -- message handlers -------------------------------------------------------------------------------------------

class Messages {
  @MessagePattern('find')
  @Cacheable({ key: (id: string) => ['message', id], tags: (id: string) => [`message:${id}`] })
  find(@Payload() id: string): string {
    return ran('message', id);
  }

  @MessagePattern('put')
  @CachePut({ key: ({ id }: { id: string }) => ['message', id] })
  put(@Payload() { title }: { id: string; title: string }): string {
    return title;
  }

  @MessagePattern('drop')
  @CacheEvict({ key: (id: string) => ['message', id], tags: (id: string) => [`message:${id}`] })
  drop(@Payload() id: string): string {
    return `dropped ${id}`;
  }
}

@Controller()
class Handlers extends Messages {}

@Controller({ scope: Scope.REQUEST })
class HandlersPerRequest {
  @MessagePattern('per-request/find')
  @Cacheable({ key: (id: string) => ['per-request', id] })
  find(@Payload() id: string): string {
    return ran('message per request', id);
  }

  @MessagePattern('per-request/put')
  @CachePut({ key: ({ id }: { id: string }) => ['per-request', id] })
  put(@Payload() { title }: { id: string; title: string }): string {
    return title;
  }

  @MessagePattern('per-request/drop')
  @CacheEvict({ key: (id: string) => ['per-request', id] })
  drop(@Payload() id: string): string {
    return `dropped ${id}`;
  }
}

// -- resolvers --------------------------------------------------------------------------------------------------

function resolver(name: string, scope: Scope): Type {
  const field = (method: string): string => `${name}_${method}`;
  @Resolver()
  class Own {
    @Query(() => String, { name: field('find') })
    @Cacheable({ key: (id: string) => [name, id], tags: (id: string) => [`${name}:${id}`] })
    find(@Args('id', { type: () => String }) id: string): string {
      return ran(name, id);
    }

    @Query(() => String, { name: field('put') })
    @CachePut({ key: (id: string) => [name, id] })
    put(
      @Args('id', { type: () => String }) _id: string,
      @Args('title', { type: () => String }) title: string,
    ): string {
      return title;
    }

    @Query(() => String, { name: field('drop') })
    @CacheEvict({ key: (id: string) => [name, id], tags: (id: string) => [`${name}:${id}`] })
    drop(@Args('id', { type: () => String }) id: string): string {
      return `dropped ${id}`;
    }
  }
  // What the compiler would leave behind with `emitDecoratorMetadata`.
  for (const [method, types] of Object.entries({ find: [String], put: [String, String], drop: [String] }))
    Reflect.defineMetadata('design:paramtypes', types, Own.prototype, method);
  Object.defineProperty(Own, 'name', { value: name });
  Injectable({ scope })(Own);
  return Own;
}

const RESOLVERS = {
  resolver: resolver('resolver', Scope.DEFAULT),
  'resolver per request': resolver('resolver_per_request', Scope.REQUEST),
};

// -- the table --------------------------------------------------------------------------------------------------

type Reach = (app: Served) => Home;

const provider =
  (of: string): Reach =>
  (app) => {
    const call = async (...path: string[]): Promise<string> =>
      (await app.get(`/provider/${[of, ...path].join('/')}`)).text;
    return {
      find: (id) => call('find', id),
      drop: (id) => call('drop', id),
      put: (id, title) => call('put', id, title),
    };
  };

const route =
  (path: string): Reach =>
  (app) => ({
    find: async (id) => (await app.get(`/${path}/${id}`)).text,
    drop: (id) => app.get(`/${path}/${id}`, {}, 'POST'),
  });

const message =
  (prefix: string): Reach =>
  ({ app }) => {
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options: tcpOf(app) });
    onTestFinished(() => {
      client.close();
    });
    const send = (pattern: string, data: unknown): Promise<string> =>
      lastValueFrom(client.send<string>(prefix + pattern, data));
    return {
      find: (id) => send('find', id),
      drop: (id) => send('drop', id),
      put: (id, title) => send('put', { id, title }),
    };
  };

const resolved =
  (name: string): Reach =>
  ({ url }) => {
    const ask = async (method: string, args: string): Promise<string> => {
      const field = `${name}_${method}`;
      const body = JSON.stringify({ query: `{ ${field}(${args}) }` });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body });
      const { data } = (await response.json()) as { data: Record<string, string> };
      return data[field] ?? '';
    };
    return {
      find: (id) => ask('find', `id: "${id}"`),
      drop: (id) => ask('drop', `id: "${id}"`),
      put: (id, title) => ask('put', `id: "${id}", title: "${title}"`),
    };
  };

const HOMES: Readonly<Record<string, Reach>> = {
  'a provider': provider('singleton'),
  'a request-scoped provider': provider('perRequest'),
  'a transient provider': provider('transient'),
  'a provider that inherits all of it': provider('inherited'),
  'a route': route('route'),
  'a route of a base class': route('route-inherited'),
  'a route of a request-scoped controller': route('route-per-request'),
  'a message handler of a base class': message(''),
  'a request-scoped message handler': message('per-request/'),
};

const ON_FASTIFY: Readonly<Record<string, Reach>> = {
  'a resolver': resolved('resolver'),
  'a request-scoped resolver': resolved('resolver_per_request'),
};

const tcp = new WeakMap<INestApplication, { host: string; port: number }>();

function tcpOf(app: INestApplication): { host: string; port: number } {
  const options = tcp.get(app);
  if (options === undefined) throw new Error('it serves no messages');
  return options;
}

async function boot(platform: Platform, place: Place): Promise<Served> {
  runs = new Map();
  const port = (await reservePort()).port;
  const graphql = GraphQLModule.forRoot<MercuriusDriverConfig>({
    driver: MercuriusDriver,
    autoSchemaFile: true,
  });
  const metadata: ModuleMetadata = {
    imports: platform === 'fastify' ? [graphql] : [],
    controllers: [Counter, OwnRoutes, InheritedRoutes, RoutesPerRequest, Handlers, HandlersPerRequest],
    providers: [
      Singleton,
      PerRequest,
      Transient,
      Inherited,
      ...(platform === 'fastify' ? Object.values(RESOLVERS) : []),
    ],
  };
  const served = await serve(metadata, {
    platform,
    place,
    // What is stored here is asked for again: on a busy machine too.
    options: { timeout: '5s' },
    prepare: (app) => {
      const options = { host: '127.0.0.1', port };
      tcp.set(app, options);
      app.connectMicroservice({ transport: Transport.TCP, options });
    },
  });
  await served.app.startAllMicroservices();
  return served;
}

describe.each(CORNERS)('on $platform, $place', ({ platform, place }) => {
  const homes = platform === 'fastify' ? { ...HOMES, ...ON_FASTIFY } : HOMES;

  it(`the decorators do on ${Object.keys(homes).length} kinds of methods what they do on one`, async () => {
    const app = await boot(platform, place);
    for (const [name, reach] of Object.entries(homes)) {
      const home = reach(app);
      const [first, other] = [await home.find('1'), await home.find('2')];
      expect(first, name).toMatch(/ 1, 1$/u);
      expect(await again(home, '1'), `@Cacheable on ${name}`).toBe(first);
      await home.drop('1');
      expect(await home.find('1'), `@CacheEvict on ${name}`).toBe(first.replace(/1$/u, '2'));
      expect(await again(home, '2'), `@CacheEvict on ${name}, of others`).toBe(other);
      if (home.put === undefined) continue;
      await home.put('2', 'Kelidar');
      expect(await home.find('2'), `@CachePut on ${name}`).toBe('Kelidar');
    }
  }, 60_000);

  it('a method without a key has one for each class that inherits it', async () => {
    const app = await boot(platform, place);
    const call = async (of: string): Promise<string> =>
      (await app.get(`/provider/${of}/byDefaultKey/1`)).text;
    const all = ['singleton', 'perRequest', 'transient', 'inherited'];
    const first = [];
    for (const of of all) first.push(await call(of));
    expect(new Set(first).size).toBe(4);
    for (const [index, of] of all.entries()) expect(await call(of)).toBe(first[index]);
  }, 60_000);

  it('routes of one base class never share an answer', async () => {
    const app = await boot(platform, place);
    const inherited = await (HOMES['a route of a base class'] as Reach)(app).find('7');
    const perRequest = await (HOMES['a route of a request-scoped controller'] as Reach)(app).find('7');
    expect([inherited, perRequest]).toEqual(['InheritedRoutes 7, 1', 'RoutesPerRequest 7, 1']);
  }, 60_000);

  it('a provider below `CacheMiddleware` is kept by what the request says', async () => {
    runs = new Map();
    @Injectable()
    class Plans {
      @Cacheable({ cache: 'plans', key: () => ['plan'] })
      async plan(): Promise<string> {
        return ran('plan', 'of somebody');
      }
    }
    @Controller('plan')
    class Desk {
      constructor(@Inject(Plans) readonly plans: Plans) {}

      @Get()
      async plan(): Promise<string> {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return this.plans.plan();
      }
    }
    @Module({ controllers: [Desk], providers: [Plans] })
    class Followed implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(CacheMiddleware).forRoutes('*path');
      }
    }
    const tenantOf = (request: unknown): string | undefined =>
      (request as { headers: Record<string, string> } | undefined)?.headers['x-tenant'];
    const options = {
      timeout: '5s',
      contexts: { tenant: tenantOf },
      caches: { plans: { contexts: ['tenant'] } },
    } as const;
    const app = await serve({ imports: [Followed] }, { platform, place, options });
    const ask = async (tenant: string): Promise<string> =>
      (await app.get('/plan', { 'x-tenant': tenant })).text;
    const both = await Promise.all([ask('a'), ask('b')]);
    expect(new Set(both).size).toBe(2);
    expect([await ask('a'), await ask('b')]).toEqual(both);
    // Without a tenant nothing is read and nothing stored.
    expect((await app.get('/plan')).status).toBe(500);
    expect(runs.get('plan of somebody')).toBe(2);
  }, 60_000);
});

/** What is stored behind an answer is there a moment after it. */
async function again(home: Home, id: string): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, 25));
  return home.find(id);
}
