/** `@Cacheable`, `@CachePut` and `@CacheEvict` wherever Nest calls a method. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Controller, Get, Inject, Injectable, Scope, SetMetadata, type Type } from '@nestjs/common';
import { ContextIdFactory, NestFactory, type ModuleRef } from '@nestjs/core';
import { Args, GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { MessagePattern, Payload, Transport, ClientProxyFactory } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { defer, lastValueFrom, of, type Observable } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cacheable, Cacheables, CacheEvict, CachePut, RedisModule } from '@anbar/nestjs-redis';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { reservePort } from '../topology/free-port.js';
import { shared } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';
import { PLACES, type Place } from './http-boot.js';

const TWICE = Symbol('twice');
const tenants = new AsyncLocalStorage<string>();
let runs: string[] = [];

function ran(what: string): string {
  runs.push(what);
  return `${what} ${runs.length}`;
}

class Visitor {
  readonly name = 'ann';
}

class Shelf {
  @Cacheable()
  inherited(id: number): Promise<string> {
    return Promise.resolve(ran(`${this.constructor.name} inherited ${id}`));
  }

  @Cacheable()
  overridden(id: number): Promise<string> {
    return Promise.resolve(ran(`shelf ${id}`));
  }

  @Cacheable()
  plainBelow(id: number): Promise<string> {
    return Promise.resolve(ran(`shelf plain ${id}`));
  }
}

@Injectable()
class Books extends Shelf {
  readonly #shelf = 'private';

  @Cacheable({
    key: (userId: string) => ['books', 'user', userId],
    ttl: '30m',
    tags: (userId) => [`user:${userId}`],
  })
  findMine(userId: string, page = 1): Promise<string> {
    return Promise.resolve(ran(`${this.#shelf} ${userId} ${page}`));
  }

  @CacheEvict({ tags: (userId: string) => [`user:${userId}`] })
  add(userId: string, fail = false): Promise<string> {
    return fail ? Promise.reject(new Error('no room')) : Promise.resolve(ran(`add ${userId}`));
  }

  @CacheEvict({ tags: (userId: string) => [`user:${userId}`], beforeInvocation: true })
  clear(userId: string): Promise<string> {
    return Promise.reject(new Error(`failed for ${userId}`));
  }

  @Cacheable()
  @SetMetadata('mark', 'kept')
  async search(query: object): Promise<string> {
    return ran(`search ${Object.keys(query).length}`);
  }

  @Cacheable({ when: (id: number) => id > 0, unless: (result: string) => result.includes('7') })
  async picky(id: number): Promise<string> {
    return ran(`picky ${id}`);
  }

  @Cacheable()
  async [TWICE](id: number): Promise<string> {
    return ran(`symbol ${id}`);
  }

  @Cacheable()
  override async overridden(id: number): Promise<string> {
    return `${await super.overridden(id)}, book`;
  }

  override async plainBelow(id: number): Promise<string> {
    return ran(`book plain ${id}`);
  }

  @CachePut({ key: (id: number) => ['title', id] })
  async rename(_id: number, title: string): Promise<string> {
    ran('rename');
    return title;
  }

  @Cacheable({ key: (id: number) => ['title', id] })
  async title(id: number): Promise<string> {
    return ran(`title ${id}`);
  }

  @CacheEvict({ key: (id: number) => ['title', id] })
  @CacheEvict({ prefix: () => ['books'] })
  async remove(_id: number): Promise<void> {
    ran('remove');
  }

  @Cacheable()
  async nothing(id: number): Promise<string | null> {
    ran(`nothing ${id}`);
    return null;
  }

  @Cacheable({ key: (id: number) => ['sync', id] })
  synchronous(id: number): string {
    return ran(`sync ${id}`);
  }

  @Cacheable({ key: (id: number) => ['many', id] })
  many(id: number): object {
    return of(id);
  }
}

@Injectable()
class Papers extends Shelf {}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  readonly id = Math.random();

  @Cacheable({ key: () => ['per-request'] })
  async read(): Promise<string> {
    return ran('per request');
  }
}

@Injectable()
class Tenanted {
  @Cacheable({ cache: 'tenanted', key: () => ['plan'], tags: ['plans'] })
  async plan(): Promise<string> {
    return ran(`plan of ${tenants.getStore() ?? 'nobody'}`);
  }

  @CacheEvict({ cache: 'tenanted', tags: ['plans'] })
  async change(): Promise<void> {
    ran('change');
  }

  @CachePut({ cache: 'tenanted', key: () => ['plan'] })
  async replace(plan: string): Promise<string> {
    return ran(plan);
  }

  /** Whoever works for another tenant meanwhile has changed nothing of that one. */
  @CacheEvict({ cache: 'tenanted', tags: ['plans'] })
  async changeAndGoOn(other: string): Promise<void> {
    ran('change');
    tenants.enterWith(other);
  }
}

async function module(
  place: Place,
  options: RedisModuleOptions = {},
): Promise<ReturnType<typeof RedisModule.forRoot>> {
  runs = [];
  const where =
    place === 'redis' ? { url: (await shared('standalone')).url } : { topology: 'embedded' as const };
  // What is stored here is asked for again: on a busy machine too.
  const patient = { timeout: '5s' } as const;
  const namespace = `dec-${process.pid}-${Math.random()}`;
  return RedisModule.forRoot({ namespace, ...patient, ...where, ...options });
}

async function booted<T extends object>(
  type: Type<T>,
  place: Place = 'embedded',
  options?: RedisModuleOptions,
): Promise<T> {
  const { app } = await boot({ imports: [await module(place, options)], providers: [type] });
  return app.get(type);
}

describe.each(PLACES)('on a provider, %s', (place) => {
  it('the method runs once for one key, and again after @CacheEvict', async () => {
    const books = await booted(Books, place);
    expect(await books.findMine('ann')).toBe('private ann 1 1');
    expect(await books.findMine('ann')).toBe('private ann 1 1');
    await books.findMine('bob');
    await books.add('ann');
    expect(await books.findMine('ann')).toBe('private ann 1 4');
    expect(await books.findMine('bob')).toBe('private bob 1 2');
  });

  it('the method runs once for all who ask at the same time', async () => {
    const books = await booted(Books, place);
    const answers = await Promise.all(Array.from({ length: 50 }, () => books.search({ a: 1 })));
    expect([new Set(answers).size, runs.length]).toEqual([1, 1]);
  });

  it('a method that fails invalidates nothing, unless it is told to beforehand', async () => {
    const books = await booted(Books, place);
    await books.findMine('ann');
    await expect(books.add('ann', true)).rejects.toThrow('no room');
    expect(await books.findMine('ann')).toBe('private ann 1 1');
    await expect(books.clear('ann')).rejects.toThrow('failed for ann');
    expect(await books.findMine('ann')).toBe('private ann 1 2');
  });

  it('@CachePut always runs, and what it returns is read', async () => {
    const books = await booted(Books, place);
    await books.title(1);
    await books.rename(1, 'Kelidar');
    await books.rename(1, 'Kelidar, 2');
    expect(await books.title(1)).toBe('Kelidar, 2');
    expect(runs.filter((run) => run === 'rename')).toHaveLength(2);
  });

  it('several evictions stand on one method', async () => {
    const books = await booted(Books, place);
    await books.title(1);
    await books.findMine('ann');
    await books.remove(1);
    expect([await books.title(1), await books.findMine('ann')]).toEqual(['title 1 4', 'private ann 1 5']);
  });

  it('null is a result like any other', async () => {
    const books = await booted(Books, place);
    expect([await books.nothing(1), await books.nothing(1), runs.length]).toEqual([null, null, 1]);
  });

  it('contexts keep tenants apart, in keys and in tags', async () => {
    const options = {
      contexts: { tenant: () => tenants.getStore() },
      caches: { tenanted: { contexts: ['tenant'] } },
    };
    const { app } = await boot({ imports: [await module(place, options)], providers: [Tenanted] });
    const service = app.get(Tenanted);
    const within = <T>(tenant: string, work: () => Promise<T>): Promise<T> => tenants.run(tenant, work);
    expect(await within('a', () => service.plan())).toBe('plan of a 1');
    expect(await within('b', () => service.plan())).toBe('plan of b 2');
    await within('a', () => service.change());
    expect(await within('b', () => service.plan())).toBe('plan of b 2');
    expect(await within('a', () => service.plan())).toBe('plan of a 4');
    await expect(service.plan()).rejects.toMatchObject({ code: 'CACHE_CONTEXT_MISSING' });
    expect(runs).toHaveLength(4);
    const cache = app.get(Cacheables).cache('tenanted');
    expect(await within('a', () => cache.get(['plan']))).toBe('plan of a 4');
    expect(await within('a', () => cache.flush())).toBe(1);
    expect(await within('b', () => cache.get(['plan']))).toBe('plan of b 2');
    await expect(cache.get(['plan'])).rejects.toMatchObject({ code: 'CACHE_CONTEXT_MISSING' });
  });

  it('who has no context changes nothing, and one that changes on the way does not matter', async () => {
    const options = {
      contexts: { tenant: () => tenants.getStore() },
      caches: { tenanted: { contexts: ['tenant'] } },
    };
    const service = await booted(Tenanted, place, options);
    const missing = { code: 'CACHE_CONTEXT_MISSING' };
    await expect(service.change()).rejects.toMatchObject(missing);
    await expect(service.replace('gold')).rejects.toMatchObject(missing);
    expect(runs).toEqual([]);
    await tenants.run('a', () => service.plan());
    await tenants.run('b', () => service.plan());
    await tenants.run('a', () => service.changeAndGoOn('b'));
    expect(await tenants.run('b', () => service.plan())).toBe('plan of b 2');
    expect(await tenants.run('a', () => service.plan())).toBe('plan of a 4');
  });
});

describe('methods of every kind', () => {
  it('equal arguments are one key, in whatever order their fields stand', async () => {
    const books = await booted(Books);
    await books.search({ a: 1, b: [new Date(0), 2n] });
    await books.search({ b: [new Date(0), 2n], a: 1 });
    expect(runs).toHaveLength(1);
    await books.search({ a: '1', b: [new Date(0), 2n] });
    expect(runs).toHaveLength(2);
  });

  it('an argument that says nothing certain is refused, by its place', async () => {
    const books = await booted(Books);
    await expect(books.search({ user: new Visitor() })).rejects.toMatchObject({
      code: 'CACHE_ARGUMENT_UNKEYABLE',
      message: expect.stringContaining('Books.search: argument 1.user is an instance of Visitor') as string,
    });
    expect(runs).toEqual([]);
  });

  it('`when` leaves the cache aside, `unless` hands over without storing', async () => {
    const books = await booted(Books);
    for (const id of [0, 0, 7, 7, 3, 3]) await books.picky(id);
    expect(runs).toEqual(['picky 0', 'picky 0', 'picky 7', 'picky 7', 'picky 3']);
  });

  it('an inherited method has keys of the class it is called on', async () => {
    const { app } = await boot({ imports: [await module('embedded')], providers: [Books, Papers] });
    const [books, papers] = [app.get(Books), app.get(Papers)];
    await Promise.all([books.inherited(1), papers.inherited(1)]);
    await Promise.all([books.inherited(1), papers.inherited(1)]);
    expect(runs.toSorted()).toEqual(['Books inherited 1', 'Papers inherited 1']);
  });

  it('an overridden method may call the one it overrides, and needs a decorator of its own', async () => {
    const books = await booted(Books);
    expect(await books.overridden(1)).toBe('shelf 1 1, book');
    expect(await books.overridden(1)).toBe('shelf 1 1, book');
    await books.plainBelow(1);
    await books.plainBelow(1);
    expect(runs).toEqual(['shelf 1', 'book plain 1', 'book plain 1']);
  });

  it('a method may be named by a symbol', async () => {
    const books = await booted(Books);
    await books[TWICE](1);
    expect(await books[TWICE](1)).toBe('symbol 1 1');
  });

  it('what other decorators have left on the method stays', () => {
    const method: unknown = Reflect.get(Books.prototype, 'search');
    expect(Reflect.getMetadata('mark', Object(method) as object)).toBe('kept');
    expect([Books.prototype.search.name, Books.prototype.search.length]).toEqual(['search', 1]);
  });

  it('instances of one request share the cache', async () => {
    const { app } = await boot({ imports: [await module('embedded')], providers: [PerRequest] });
    const instances = await Promise.all(
      [1, 2].map(() => (app as unknown as ModuleRef).resolve(PerRequest, ContextIdFactory.create())),
    );
    expect(instances[0]?.id).not.toBe(instances[1]?.id);
    for (const instance of instances) expect(await instance.read()).toBe('per request 1');
  });

  it('an instance that a factory has made is cached too', async () => {
    const metadata = {
      imports: [await module('embedded')],
      providers: [{ provide: 'B', useFactory: () => new Books() }],
    };
    const { app } = await boot(metadata);
    const books = app.get<Books>('B');
    await books.search({});
    await books.search({});
    expect(runs).toHaveLength(1);
  });

  it('without the module the method runs as it is written', async () => {
    runs = [];
    const books = new Books();
    await books.findMine('ann');
    await books.findMine('ann');
    await books.add('ann');
    expect(books.synchronous(1)).toBe('sync 1 4');
    expect(runs).toHaveLength(4);
  });

  it('two applications in one process share nothing', async () => {
    const [one, other] = [await booted(Books), await booted(Books)];
    await one.search({});
    await other.search({});
    expect(runs).toHaveLength(1 + 1);
  });

  it('a method that turns out to be synchronous, or to return an Observable, is refused', async () => {
    const books = await booted(Books);
    await expect(Promise.resolve(books.synchronous(1))).rejects.toMatchObject({ code: 'CACHEABLE_METHOD' });
    await expect(books.many(1)).rejects.toMatchObject({ code: 'CACHEABLE_METHOD' });
  });

  it('a method that is declared synchronous is refused at boot', async () => {
    class Sync {
      @Cacheable()
      read(): string {
        return 'at once';
      }
    }
    Reflect.defineMetadata('design:returntype', String, Sync.prototype, 'read');
    const error = await bootFailure({ imports: [await module('embedded')], providers: [Sync] });
    expect(error).toMatchObject({ code: 'CACHEABLE_METHOD', message: 'Sync.read is synchronous' });
  });

  it('two classes of one name are refused at boot, for they would share their keys', async () => {
    const twin = (): Type => {
      class Twin {
        @Cacheable()
        async read(): Promise<number> {
          return 1;
        }
      }
      return Twin;
    };
    const error = await bootFailure({ imports: [await module('embedded')], providers: [twin(), twin()] });
    expect(error).toMatchObject({ code: 'CACHEABLE_METHOD' });
  });

  it('so are two controllers of one name whose routes have a key of their own', async () => {
    const twin = (path: string): Type => {
      @Controller(path)
      class Twin {
        @Get()
        @Cacheable({ key: () => 'all' })
        all(): string {
          return path;
        }
      }
      return Twin;
    };
    const controllers = [twin('public'), twin('private')];
    const error = await bootFailure({ imports: [await module('embedded')], controllers });
    expect(error).toMatchObject({ code: 'CACHEABLE_METHOD' });
    expect(error.message).toContain('Twin.all is cached in two classes of the same name');
  });

  it('a context that nothing resolves is refused at boot', async () => {
    const options = { caches: { tenanted: { contexts: ['tenant'] } } };
    const error = await bootFailure({ imports: [await module('embedded', options)] });
    expect(error.message).toContain("nothing resolves the context 'tenant'");
  });
});

@Resolver()
class Catalogue {
  @Query(() => String)
  @Cacheable()
  title(@Args('id', { type: () => String }) id: string): string {
    return ran(`resolved ${id}`);
  }
}

// What the compiler would leave behind with `emitDecoratorMetadata`.
Reflect.defineMetadata('design:paramtypes', [String], Catalogue.prototype, 'title');

@Controller()
class Messages {
  @MessagePattern('title')
  @Cacheable()
  title(@Payload() id: string): string {
    return ran(`message ${id}`);
  }
}

@Controller()
class Bare {
  constructor(@Inject(Cacheables) readonly cacheables: Cacheables) {}

  @MessagePattern('bare')
  @Cacheable({ key: (id: string) => ['bare', id] })
  bare(id: string): string {
    return ran(`bare ${id}`);
  }
}

@Controller('press')
class Press {
  readonly #books: Books;

  constructor(@Inject(Books) books: Books) {
    this.#books = books;
  }

  @Get('print')
  @CacheEvict({ key: () => ['title', 1] })
  print(): Observable<string> {
    // Whoever reads while it is at work keeps what was before.
    return defer(() => this.#books.title(1));
  }

  @CacheEvict({ key: () => ['title', 1] })
  printLater(): Observable<string> {
    return defer(() => Promise.resolve(ran('printed')));
  }
}

describe.each(PLACES)('elsewhere, %s', (place) => {
  it('an Observable of a route is waited for before anything is evicted; of any other method it is refused', async () => {
    class App {
      readonly name = 'the test';
    }
    const metadata = { imports: [await module(place)], controllers: [Press], providers: [Books] };
    const app = await NestFactory.create({ module: App, ...metadata }, new FastifyAdapter(), {
      logger: false,
      abortOnError: false,
    });
    onTestFinished(() => app.close());
    await app.listen(0, '127.0.0.1');
    const answer = await fetch(`${await app.getUrl()}/press/print`);
    expect(await answer.text()).toBe('title 1 1');
    expect(await app.get(Books).title(1)).toBe('title 1 2');
    await expect(app.get(Press).printLater()).rejects.toMatchObject({ code: 'CACHEABLE_METHOD' });
    expect(runs).toHaveLength(2);
  });

  it('a resolver runs once for its arguments, and may be synchronous', async () => {
    class App {
      readonly name = 'the test';
    }
    const graphql = GraphQLModule.forRoot<MercuriusDriverConfig>({
      driver: MercuriusDriver,
      autoSchemaFile: true,
    });
    const imports = [await module(place), graphql];
    const app = await NestFactory.create(
      { module: App, imports, providers: [Catalogue] },
      new FastifyAdapter(),
      {
        logger: false,
        abortOnError: false,
      },
    );
    onTestFinished(() => app.close());
    await app.listen(0, '127.0.0.1');
    const ask = async (id: string): Promise<unknown> => {
      const response = await fetch(`${await app.getUrl()}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: `{ title(id: "${id}") }` }),
      });
      return response.json();
    };
    expect(await ask('1')).toEqual({ data: { title: 'resolved 1 1' } });
    expect(await ask('1')).toEqual({ data: { title: 'resolved 1 1' } });
    expect(await ask('2')).toEqual({ data: { title: 'resolved 2 2' } });
  });

  it('a message handler runs once for its payload, with and without @Payload', async () => {
    class App {
      readonly name = 'the test';
    }
    const options = { host: '127.0.0.1', port: (await reservePort()).port };
    const app = await NestFactory.createMicroservice(
      { module: App, imports: [await module(place)], controllers: [Messages, Bare] },
      { transport: Transport.TCP, options, logger: false, abortOnError: false },
    );
    onTestFinished(() => app.close());
    await app.listen();
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
    onTestFinished(() => {
      client.close();
    });
    const send = (pattern: string, id: string): Promise<string> =>
      lastValueFrom(client.send<string>(pattern, id));
    expect([await send('title', '1'), await send('title', '1')]).toEqual(['message 1 1', 'message 1 1']);
    expect([await send('bare', '1'), await send('bare', '1')]).toEqual(['bare 1 2', 'bare 1 2']);
  });
});
