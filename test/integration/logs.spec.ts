/** What is logged: one line for each change, fields for loggers that write JSON, and never a key or a value. */
import { ConsoleLogger, Logger, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import {
  CacheService,
  FallbackCache,
  RateLimiter,
  RedisAdapter,
  RedisModule,
  ShardedCache,
  type RedisModuleOptions,
} from '@anbar/nestjs-redis';
import { telemetryChannel } from '@anbar/nestjs-redis/core';
import { linesTo, openLines, writesJson } from '@anbar/nestjs-redis/monitoring';
import { startStandalone, until } from '../topology/index.js';

interface Line {
  readonly level: string;
  readonly context: string;
  readonly message: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

interface Written extends Omit<Line, 'message'> {
  readonly message: string | Readonly<Record<string, unknown>>;
}

const OURS = new Set(['RedisModule', 'RedisCache', 'RedisCleanup']);

afterEach(() => vi.restoreAllMocks());

/** An application that logs as it would, into a list. */
async function logging(
  options: RedisModuleOptions,
  { json = true, levels }: { json?: boolean; levels?: LogLevel[] } = {},
) {
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  class TestModule {
    readonly name = 'the test';
  }
  const app = await NestFactory.createApplicationContext(
    { module: TestModule, imports: [RedisModule.forRoot(options)] },
    {
      abortOnError: false,
      logger: new ConsoleLogger({ json, colors: false, ...(levels && { logLevels: levels }) }),
    },
  );
  onTestFinished(() => app.close());
  return {
    app,
    text: () => written.join(''),
    lines: () =>
      written.map((line) => lineOf(JSON.parse(line) as Written)).filter(({ context }) => OURS.has(context)),
  };
}

/** Nest 11 knows no fields of a line: there the sentence and its fields are one object. */
function lineOf({ message, ...line }: Written): Line {
  if (typeof message === 'string') return { ...line, message };
  const { message: sentence, ...params } = message;
  return { ...line, message: textOf(sentence), params };
}

function textOf(field: unknown): string {
  return typeof field === 'string' ? field : '';
}

const EVERY_LEVEL: LogLevel[] = ['verbose', 'debug', 'log', 'warn', 'error'];

async function useCache(cache: CacheService): Promise<void> {
  await cache.set(['user', 'ada@example.com'], { iban: 'DE00 1234' });
  await cache.getOrSet('price-list', () => ({ iban: 'DE00 1234' }));
  await until(async () => (await cache.get(['user', 'ada@example.com'])) !== undefined, { what: 'a hit' });
  await cache.delete(['user', 'ada@example.com']);
}

it('tells of hits, saves, invalidations and loads with their time, as fields too', async () => {
  const { app, lines, text } = await logging(
    { topology: 'embedded', cache: { log: true } },
    { levels: EVERY_LEVEL },
  );
  await useCache(app.get(CacheService));
  const cache = lines().filter(({ context }) => context === 'RedisCache');
  const named = (event: string) => cache.filter(({ params }) => params?.['event'] === event);
  expect(named('cache.save')[0]).toMatchObject({
    level: 'debug',
    message: expect.stringMatching(/^default: saved #[\da-f]{8} in \d+\.\d\d ms$/u) as string,
    params: { cache: 'default', outcome: 'ok', by: 'set', tookMs: expect.any(Number) as number },
  });
  expect(named('cache.load')).toHaveLength(1);
  expect(named('cache.invalidate')[0]?.params).toMatchObject({ by: 'delete', outcome: 'ok' });
  expect(named('cache.read').at(-1)).toMatchObject({ level: 'verbose' });
  const [, mark] = /#([\da-f]{8})/u.exec(named('cache.save')[0]?.message ?? '') ?? [];
  expect(named('cache.save')[0]?.params?.['key']).toBe(mark);
  for (const secret of ['ada', 'example.com', 'iban', 'DE00', 'price']) expect(text()).not.toContain(secret);
});

it('says nothing of single calls unless it is asked to, and nothing above the level debug', async () => {
  const silent = await logging({ topology: 'embedded' }, { levels: EVERY_LEVEL });
  await useCache(silent.app.get(CacheService));
  expect(silent.lines().filter(({ params }) => textOf(params?.['event']).startsWith('cache.'))).toEqual([]);
  await silent.app.close();
  vi.restoreAllMocks();
  const asked = await logging(
    { topology: 'embedded', cache: { log: true } },
    { levels: ['log', 'warn', 'error'] },
  );
  await useCache(asked.app.get(CacheService));
  expect(asked.lines().filter(({ params }) => textOf(params?.['event']).startsWith('cache.'))).toEqual([]);
});

it('hears of no single hit and of no single decision of the limiter, which would pay for each event', async () => {
  await logging({ topology: 'embedded' });
  const heard = ['cache', 'rate-limit', 'rate-limit-changes'].filter((name) => telemetryChannel(name).active);
  expect(heard).toEqual(['rate-limit-changes']);
});

it('writes sentences alone where text is written, unless fields are wanted', async () => {
  const options = { topology: 'embedded', cache: { log: true } } as const;
  const plain = await logging(options, { json: false, levels: EVERY_LEVEL });
  await useCache(plain.app.get(CacheService));
  expect(plain.text()).toMatch(/default: saved #[\da-f]{8} in \d+\.\d\d ms\s/u);
  expect(plain.text()).not.toContain('tookMs');
  await plain.app.close();
  vi.restoreAllMocks();
  const wanted = await logging({ ...options, logFields: true }, { json: false, levels: EVERY_LEVEL });
  await useCache(wanted.app.get(CacheService));
  expect(wanted.text()).toContain('tookMs');
  await wanted.app.close();
  vi.restoreAllMocks();
  const unwanted = await logging({ ...options, logFields: false }, { levels: EVERY_LEVEL });
  await useCache(unwanted.app.get(CacheService));
  expect(unwanted.lines().length).toBeGreaterThan(3);
  expect(unwanted.lines().every(({ params }) => params === undefined)).toBe(true);
});

it('tells of an outage once: connection, near cache, fallback and limits, and of their return', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const { app, lines } = await logging({ url: server.url });
  const [adapter, fallback, limiter] = [app.get(RedisAdapter), app.get(FallbackCache), app.get(RateLimiter)];
  await until(() => adapter.ping().then(() => true), { what: 'the connection' });
  await app.get(CacheService).set('key', 1);
  await until(() => lines().some(({ params }) => params?.['source'] === 'tracking'), {
    what: 'the tracking',
  });
  const before = lines().length;

  await server.process.kill();
  await until(() => adapter.status().health === 'down', { what: 'the loss' });
  for (let i = 0; i < 20; i += 1) {
    await fallback.get('key');
    await limiter.consume(['ip', i], { limit: 5, window: '1m' });
  }
  await server.process.restart('empty');
  await until(() => adapter.ping().then(() => true), { what: 'the return' });
  await until(() => fallback.state.mode === 'redis', { what: 'the fallback to end' });
  await until(
    async () => {
      await limiter.consume(['ip', 'after'], { limit: 5, window: '1m' });
      return lines().some(({ params }) => params?.['event'] === 'limits' && params['state'] === 'back');
    },
    { what: 'the limits to be kept in Redis' },
  );

  const told = lines()
    .slice(before)
    .filter(({ params }) => params?.['event'] !== 'l1.source')
    .map(({ level, params }) => `${level} ${textOf(params?.['event'])} ${textOf(params?.['state'])}`.trim());
  expect(told.toSorted()).toEqual([
    'log connection.ready',
    'log fallback redis',
    'log limits back',
    'warn connection.lost',
    'warn fallback fallback',
    'warn limits lost',
  ]);
  expect(lines().find(({ params }) => params?.['state'] === 'lost')?.params?.['reason']).toMatch(
    /^[A-Z_]+$/u,
  );
});

it('tells of a breaker that opens while the connection stands, and of its end', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const { app, lines } = await logging({ url: server.url });
  const adapter = app.get(RedisAdapter);
  await until(() => adapter.ping().then(() => true), { what: 'the connection' });
  for (let i = 0; i < 3; i += 1) {
    adapter.port.isolate();
    adapter.port.restore();
  }
  const breakers = lines().filter(({ params }) => params?.['event'] === 'breaker');
  expect(breakers.filter(({ params }) => params?.['kind'] === 'reads').map(({ level }) => level)).toEqual(
    Array.from({ length: 3 }, () => ['warn', 'log']).flat(),
  );
  expect(breakers[0]?.message).toMatch(
    /^'default' refuses (?:reads|writes) at 127\.0\.0\.1:\d+ for a while/u,
  );
});

it('tells of a shard that is lost, taken out by the fleet, and back', async () => {
  const servers = await Promise.all([startStandalone(), startStandalone(), startStandalone()]);
  onTestFinished(() => Promise.all(servers.map((server) => server.stop())).then(() => undefined));
  const shards = Object.fromEntries(servers.map(({ url }, i) => [`s${i}`, { url }]));
  const { app, lines } = await logging({ topology: 'embedded', shards, shardLease: '1s' });
  const sharded = app.get(ShardedCache);
  await sharded.connect();
  const of = (event: string) =>
    lines().flatMap(({ level, params }) =>
      params?.['event'] === event ? [`${level} ${textOf(params['shard'])} ${textOf(params['state'])}`] : [],
    );

  await servers[2]?.process.kill();
  await until(() => of('shard.connection').length > 0, { what: 'the loss to be told' });
  await until(
    async () => {
      await sharded.invalidateTags('everywhere').catch(() => undefined);
      return of('shard').includes('warn s2 out');
    },
    { what: 'the shard to be told as taken out', timeout: 10_000 },
  );
  await servers[2]?.process.restart('empty');
  await until(() => of('shard').includes('log s2 up'), { what: 'its return', timeout: 10_000 });
  await app.close();
  expect(of('shard.connection')).toEqual(['warn s2 lost', 'log s2 ready']);
  expect(of('shard').filter((line) => line.includes('s2'))).toEqual([
    'warn s2 out',
    'log s2 returning',
    'log s2 up',
  ]);
});

it('sees by the logger whether fields are written', () => {
  expect(writesJson(new ConsoleLogger({ json: true }))).toBe(true);
  expect([undefined, null, {}, new ConsoleLogger(), { options: { json: 'yes' } }].some(writesJson)).toBe(
    false,
  );
  const heard: unknown[][] = [];
  const hear = (...said: unknown[]): void => void heard.push(said);
  const logger = { log: hear, warn: hear, debug: hear, verbose: hear };
  linesTo(logger, 'behind').warn('a', { event: 'e' });
  linesTo(logger, 'nowhere').warn('b', { event: 'e' });
  linesTo(logger, 'within').warn('c', { event: 'e' });
  linesTo(logger, 'behind').log('d');
  linesTo(logger, 'within').log('e');
  expect(heard).toEqual([['a', { event: 'e' }], ['b'], [{ message: 'c', event: 'e' }], ['d'], ['e']]);
});

it('writes one line for what it says, whatever Nest makes of several arguments', () => {
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const before: unknown = Reflect.get(Logger, 'staticInstanceRef');
  onTestFinished(() => void Reflect.set(Logger, 'staticInstanceRef', before));
  Logger.overrideLogger(new ConsoleLogger({ json: true }));
  openLines('RedisModule', undefined).warn('it is lost', { event: 'connection.lost' });
  expect(written).toHaveLength(1);
  expect(lineOf(JSON.parse(written[0] ?? '') as Written)).toMatchObject({
    level: 'warn',
    context: 'RedisModule',
    message: 'it is lost',
    params: { event: 'connection.lost' },
  });
});
