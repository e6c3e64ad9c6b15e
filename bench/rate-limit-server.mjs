/** One application on Fastify, in a process of its own: ours, or the throttler's, whose Nest is the bench's own. */
import { createRequire } from 'node:module';

const MANY = 1_000_000_000;
const THREE = [
  { name: 'a', limit: 1_000_000, window: '1s' },
  { name: 'b', limit: 1_000_000, window: '1m' },
  { name: 'c', limit: 1_000_000, window: '1h' },
];

/** A controller without a compiler: each method with its path and its decorators. */
function controllerOf({ Controller, Get }, routes) {
  class Routes {}
  for (const [path, decorators] of Object.entries(routes)) {
    Routes.prototype[path] = () => 'ok';
    const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, path);
    for (const decorate of [...decorators, Get(path)]) decorate(Routes.prototype, path, descriptor);
  }
  Controller()(Routes);
  return Routes;
}

async function serve(nest, { core, fastify }, { App = class {}, plugin, ...metadata }) {
  nest.Module(metadata)(App);
  const app = await core.NestFactory.create(App, new fastify.FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });
  if (plugin !== undefined) await app.register(plugin(app));
  const server = await app.listen(0, '127.0.0.1');
  process.send(server.address().port);
}

/** The Nest the library runs on; the one beside this file is that of the rivals. */
async function ourNest() {
  const load = createRequire(new URL('../package.json', import.meta.url));
  const from = async (name) => import(load.resolve(name));
  const core = await from('@nestjs/core');
  const fastify = await from('@nestjs/platform-fastify');
  return { load, nest: await from('@nestjs/common'), frame: { core, fastify } };
}

async function ours(url) {
  const { load, nest, frame } = await ourNest();
  const { RateLimit, RateLimitMiddleware, RedisModule } = await import('@anbar/nestjs-redis');
  /** What a denial costs Nest itself, with nobody counting and nothing told. */
  class Refuse {
    canActivate() {
      throw new nest.HttpException({ status: 429 }, 429);
    }
  }
  /** What clients are told costs the same whoever tells it. */
  const tell = (context, remaining) => {
    const response = context.switchToHttp().getResponse();
    response.header('RateLimit-Policy', '"default";q=1000000;w=1');
    response.header('RateLimit', `"default";r=${remaining};t=1`);
    return true;
  };
  class Tell {
    canActivate(context) {
      return tell(context, 999_999);
    }
  }
  const { Redis } = load('ioredis');
  const bare = new Redis(url, { enableAutoPipelining: true });
  /** No limiter at all: the cheapest command, on a connection that gathers, and nothing done when it fails. */
  class Count {
    async canActivate(context) {
      return tell(context, await bare.incr('bare'));
    }
  }
  class Shedding {
    configure(consumer) {
      consumer.apply(RateLimitMiddleware).forRoutes('shed');
    }
  }
  const Routes = controllerOf(nest, {
    plain: [],
    one: [RateLimit({ limit: 1_000_000, window: '1s' })],
    three: [RateLimit(...THREE)],
    leased: [RateLimit({ limit: 1_000_000, window: '1s', lease: 100 })],
    denied: [RateLimit({ limit: 1, window: '1d' })],
    refused: [nest.UseGuards(Refuse)],
    shed: [],
    told: [nest.UseGuards(Tell)],
    counted: [nest.UseGuards(Count)],
  });
  const endpoints = { 'GET /shed': { limit: 1, window: '1d' } };
  const imports = [RedisModule.forRoot({ url, rateLimit: { endpoints } })];
  await serve(nest, frame, { App: Shedding, imports, controllers: [Routes] });
}

/** An application whose endpoints are limited by the plugin of Fastify. */
async function door(url) {
  const { nest, frame } = await ourNest();
  const { fastifyRateLimits, RedisModule } = await import('@anbar/nestjs-redis');
  const Routes = controllerOf(nest, { plain: [], one: [], denied: [] });
  const endpoints = {
    'GET /one': { limit: 1_000_000, window: '1s' },
    'GET /denied': { limit: 1, window: '1d' },
  };
  const imports = [RedisModule.forRoot({ url, rateLimit: { endpoints } })];
  await serve(nest, frame, { imports, controllers: [Routes], plugin: fastifyRateLimits });
}

/** What the Redis storages of the throttler do: one script per throttler, one after the other. */
function storageOver(redis) {
  redis.defineCommand('throttle', {
    numberOfKeys: 1,
    lua: `local hits = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left <= 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) left = tonumber(ARGV[1]) end
return {hits, left}`,
  });
  return {
    async increment(key, ttl, limit) {
      const [totalHits, left] = await redis.throttle(key, ttl);
      const timeToExpire = Math.ceil(left / 1_000);
      return { totalHits, timeToExpire, isBlocked: totalHits > limit, timeToBlockExpire: timeToExpire };
    },
  };
}

async function throttler(url) {
  const load = createRequire(new URL('./package.json', import.meta.url));
  const from = async (name) => import(load.resolve(name));
  const nest = await from('@nestjs/common');
  const core = await from('@nestjs/core');
  const fastify = await from('@nestjs/platform-fastify');
  const { Redis } = load('ioredis');
  const { ThrottlerModule, ThrottlerGuard, SkipThrottle } = await from('@nestjs/throttler');
  const storage = storageOver(new Redis(url));
  const throttlers = THREE.map(({ name }) => ({ name, ttl: 60_000, limit: MANY }));
  const Routes = controllerOf(nest, {
    plain: [],
    one: [nest.UseGuards(ThrottlerGuard), SkipThrottle({ b: true, c: true })],
    three: [nest.UseGuards(ThrottlerGuard)],
  });
  const imports = [ThrottlerModule.forRoot({ throttlers, storage })];
  await serve(nest, { core, fastify }, { imports, controllers: [Routes] });
}

// Processor time is asked for from outside, before and after a slice of load.
process.on('message', () => process.send(process.cpuUsage()));
process.on('disconnect', () => process.exit(0));
await { ours, door, throttler }[process.argv[2]](process.argv[3]);
