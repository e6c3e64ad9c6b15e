/**
 * A route beside the same route behind a cache: 1.5 KB of JSON, 20 objects. The plain handler returns a constant
 * object; the rival is the CacheInterceptor of @nestjs/cache-manager 12, in memory and with Redis. Every contestant is
 * a process of its own; they take turns in short slices, and a ratio is the median of the ratios of each round.
 *
 * `npm run build && node bench/http.mjs` prints the table; `--write` also writes docs/evidence/bench-http.md.
 */
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { machine, today } from './machine.mjs';

const CONNECTIONS = 32;
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SLICE_S = Number(process.env.SLICE_S ?? 2);

const CONTESTANTS = [
  'plain',
  'text',
  'door',
  'door-not-modified',
  'cacheable',
  'interceptor',
  'not-modified',
  'redis-only',
  'rival',
  'rival-redis',
];

const UNCACHED = ['plain', 'text'];

const GATES = [
  { of: 'door', to: 'plain', express: 1, fastify: 1 },
  { of: 'door', to: 'rival', express: 1.5, fastify: 2.5 },
  { of: 'door-not-modified', to: 'plain', express: 1.2, fastify: 1.2 },
  { of: 'cacheable', to: 'plain', express: 1, fastify: 1 },
  { of: 'cacheable', to: 'rival', express: 1.5, fastify: 2.5 },
  { of: 'not-modified', to: 'plain', express: 1.2, fastify: 1.2 },
  { of: 'redis-only', to: 'plain', express: 0.6, fastify: 0.6 },
  { of: 'interceptor', to: 'rival' },
  { of: 'redis-only', to: 'rival-redis' },
  // As little as a handler of Nest can do: what no cache behind it can be cheaper than.
  { of: 'text', to: 'plain' },
  { of: 'text', to: 'rival' },
];

function list() {
  return Array.from({ length: 20 }, (_, id) => ({
    id,
    title: `Volume ${id}, bound in linen`,
    priceCents: 1295 + id,
    inStock: id % 3 !== 0,
  }));
}

// -- a contestant's process ------------------------------------------------------------------------------------

async function contestant({ name, platform, url }) {
  const rival = name.startsWith('rival');
  const require = createRequire(new URL(rival ? './package.json' : '../package.json', import.meta.url));
  const load = (id) => import(require.resolve(id));
  await load('reflect-metadata');
  const { Controller, Get, Module, UseInterceptors } = await load('@nestjs/common');
  const { NestFactory } = await load('@nestjs/core');
  const LIST = list();
  const answer = name === 'text' ? JSON.stringify(LIST) : LIST;
  class Shop {
    list() {
      return answer;
    }
  }
  const on = (...decorators) => {
    for (const decorate of decorators) {
      decorate(Shop.prototype, 'list', Object.getOwnPropertyDescriptor(Shop.prototype, 'list'));
    }
  };
  let imports = [];
  if (rival) {
    const { CacheModule, CacheInterceptor, CacheTTL } = await load('@nestjs/cache-manager');
    const stores = name === 'rival' ? undefined : [(await load('@keyv/redis')).createKeyv(url)];
    imports = [CacheModule.register(stores === undefined ? { ttl: 600_000 } : { ttl: 600_000, stores })];
    on(CacheTTL(600_000), UseInterceptors(CacheInterceptor));
  } else if (!UNCACHED.includes(name)) {
    const { Cacheable, CacheInterceptor, HttpCache, RedisModule } = await load('@anbar/nestjs-redis');
    const cache = name === 'redis-only' ? { l1: false } : {};
    imports = [RedisModule.forRoot({ url, namespace: `bench-http-${name}-${platform}`, cache })];
    const options = { ttl: '10m', earlyRefresh: false };
    const atDoor = name.startsWith('door');
    if (name === 'interceptor') on(UseInterceptors(CacheInterceptor), HttpCache({ ttl: '10m' }));
    else {
      const descriptor = Object.getOwnPropertyDescriptor(Shop.prototype, 'list');
      Cacheable({ ttl: options.ttl, atDoor })(Shop.prototype, 'list', descriptor);
      Object.defineProperty(Shop.prototype, 'list', descriptor);
    }
  }
  on(Get('list'));
  Controller()(Shop);
  class App {}
  Module({ imports, controllers: [Shop] })(App);
  const { ExpressAdapter } = platform === 'express' ? await load('@nestjs/platform-express') : {};
  const { FastifyAdapter } = platform === 'fastify' ? await load('@nestjs/platform-fastify') : {};
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(App, adapter, { logger: ['error', 'warn'] });
  if (name.startsWith('door')) (await load('@anbar/nestjs-redis')).answerAtDoor(app);
  await app.listen(0, '127.0.0.1');
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send({ cpu: user + system });
  });
  process.send({ url: await app.getUrl() });
}

// -- the bench -------------------------------------------------------------------------------------------------

function start(name, platform, url) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [
      'contestant',
      JSON.stringify({ name, platform, url }),
    ]);
    child.once('message', (message) => resolve({ name, url: `${message.url}/list`, child }));
    child.once('exit', (code) => reject(new Error(`${name} on ${platform} ended with ${code}`)));
  });
}

/** Microseconds of processor time so far: what a slice costs does not depend on who else is running. */
function cpuOf(child) {
  return new Promise((resolve) => {
    child.once('message', ({ cpu }) => resolve(cpu));
    child.send('cpu');
  });
}

async function slice(autocannon, { name, url, etag, child }) {
  const headers = name.endsWith('not-modified') ? { 'if-none-match': etag } : {};
  const before = await cpuOf(child);
  const result = await autocannon({ url, connections: CONNECTIONS, duration: SLICE_S, headers });
  const cpu = ((await cpuOf(child)) - before) / result.requests.total;
  const failed = result.errors + result.non2xx - (result['3xx'] ?? 0);
  return { rate: result.requests.total / result.duration, cpu, failed };
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function compare(autocannon, platform, url) {
  const field = await Promise.all(CONTESTANTS.map((name) => start(name, platform, url)));
  const rates = new Map(CONTESTANTS.map((name) => [name, []]));
  for (const one of field) {
    const first = await fetch(one.url);
    await first.text();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const second = await fetch(one.url);
    await second.text();
    one.etag = second.headers.get('etag');
    const cached = second.headers.get('x-cache');
    if (!UNCACHED.includes(one.name) && cached !== 'HIT')
      throw new Error(`${one.name} on ${platform}: ${cached}`);
  }
  for (let round = -1; round < ROUNDS; round += 1) {
    const order = field.map((_, index) => field[(index + Math.max(round, 0)) % field.length]);
    for (const one of order) {
      const { rate, cpu, failed } = await slice(autocannon, one);
      if (failed > 0) throw new Error(`${one.name} on ${platform}: ${failed} failed`);
      if (round >= 0) rates.get(one.name).push({ rate, cpu });
    }
  }
  for (const { child } of field) {
    child.removeAllListeners('exit');
    child.kill();
  }
  return rates;
}

async function main() {
  const { createRequire: requireOf } = await import('node:module');
  const autocannon = requireOf(new URL('./package.json', import.meta.url))('autocannon');
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const table = ['| platform | who | k/s | CPU µs per request |', '| --- | --- | --- | --- |'];
  const verdicts = [];
  for (const platform of ['express', 'fastify']) {
    const rates = await compare(autocannon, platform, server.url);
    for (const [name, its] of rates) {
      const rate = median(its.map((one) => one.rate)) / 1000;
      const cpu = median(its.map((one) => one.cpu));
      table.push(`| ${platform} | ${name} | ${rate.toFixed(1)} | ${cpu.toFixed(1)} |`);
    }
    for (const gate of GATES) {
      const ratio = median(
        rates.get(gate.of).map(({ rate }, round) => rate / rates.get(gate.to)[round].rate),
      );
      const cpu = median(rates.get(gate.of).map((one, round) => rates.get(gate.to)[round].cpu / one.cpu));
      const wanted = gate[platform];
      const judged = wanted === undefined ? '–' : cpu >= wanted ? 'yes' : 'no';
      verdicts.push(
        `| ${platform} | ${gate.of} ÷ ${gate.to} | ${ratio.toFixed(2)} | ${cpu.toFixed(2)} | ${wanted === undefined ? '–' : `≥ ${wanted}`} | ${judged} |`,
      );
    }
  }
  const report = [
    '# Cached HTTP answers beside the plain handler',
    '',
    `${today()} · ${machine()} · \`node bench/http.mjs --write\``,
    '',
    `1.5 KB of JSON, 20 objects; ${CONNECTIONS} connections, ${ROUNDS} rounds of ${SLICE_S} s each, taking turns. \`plain\` returns a constant`,
    'object and is not cached, `text` the same as a text made beforehand: less a handler of Nest can not do. `rival` is',
    'the CacheInterceptor of @nestjs/cache-manager 12.0.0, in memory, and `rival-redis` the same over @keyv/redis 5.1.6.',
    '`door` is `@Cacheable({ atDoor: true })` in an application that has called `answerAtDoor`: the hit of a route without',
    'guards. `cacheable` is the hit behind guards and interceptors, in the place of the handler; `interceptor` the',
    '`CacheInterceptor`, `redis-only` `@Cacheable` without a near cache, `not-modified` a request with the right tag.',
    'Judged by CPU time of the serving process: rates are shared with whoever sends the requests.',
    '',
    '| platform | ratio | of rates | of CPU time | wanted | met |',
    '| --- | --- | --- | --- | --- | --- |',
    ...verdicts,
    '',
    ...table,
    '',
  ].join('\n');
  console.log(report);
  if (process.argv.includes('--write')) {
    writeFileSync(new URL('../docs/evidence/bench-http.md', import.meta.url), report);
  }
  await server.stop();
}

if (process.argv[2] === 'contestant') await contestant(JSON.parse(process.argv[3]));
else await main();
