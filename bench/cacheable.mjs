/**
 * What `@Cacheable` on a provider method adds to a hit in memory over `cache.getOrSet` with the same key. The
 * contestants take turns in short slices (slices.mjs).
 *
 * `npm run build && node bench/cacheable.mjs` prints the table; `--gates` fails when the limit is not kept.
 */
import { createRequire } from 'node:module';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { machine, today } from './machine.mjs';
import { compare } from './slices.mjs';

/** The Nest of the library, and not the one the rivals stand on. */
const require = createRequire(new URL('../package.json', import.meta.url));
const load = (id) => import(require.resolve(id));

await load('reflect-metadata');
const { Module } = await load('@nestjs/common');
const { NestFactory } = await load('@nestjs/core');
const { Cacheable, CacheService, RedisModule } = await load('@anbar/nestjs-redis');

const LIMIT_NS = 1_000;
const IDS = 256;
const ROUNDS = Number(process.env.ROUNDS ?? 15);

class Books {
  byKey(id) {
    return Promise.resolve({ id });
  }

  byArguments(id) {
    return Promise.resolve({ id });
  }
}

for (const [name, options] of [
  ['byKey', { key: (id) => `book:${id}` }],
  ['byArguments', {}],
]) {
  const descriptor = Object.getOwnPropertyDescriptor(Books.prototype, name);
  Cacheable(options)(Books.prototype, name, descriptor);
  Object.defineProperty(Books.prototype, name, descriptor);
}

async function main() {
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  class App {}
  Module({ imports: [RedisModule.forRoot({ url: server.url })], providers: [Books] })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'] });
  const [books, cache] = [app.get(Books), app.get(CacheService)];
  const loader = (id) => () => Promise.resolve({ id });
  const contestants = {
    'cache.getOrSet': (i) => cache.getOrSet(`plain:${i % IDS}`, loader(i % IDS)),
    '@Cacheable, key': (i) => books.byKey(i % IDS),
    '@Cacheable, arguments': (i) => books.byArguments(i % IDS),
  };
  // Each twice: stored by the first, taken into memory by the second.
  for (const call of Object.values(contestants)) for (let i = 0; i < 2 * IDS; i += 1) await call(i);
  const run = await compare(contestants, { concurrency: 1, rounds: ROUNDS, stride: 64 });
  const costs = new Map(run.results.map(({ name, cpu }) => [name, cpu * 1_000]));
  const base = costs.get('cache.getOrSet');
  const lines = [...costs].map(
    ([name, ns]) =>
      `| ${name} | ${ns.toFixed(0)} | ${name === 'cache.getOrSet' ? '–' : (ns - base).toFixed(0)} |`,
  );
  console.log(
    [
      `${today()} · ${machine()} · \`node bench/cacheable.mjs\``,
      '',
      '| a hit in memory | CPU ns | more than getOrSet |',
      '| --- | --- | --- |',
      ...lines,
    ].join('\n'),
  );
  const over = [...costs.values()].filter((ns) => ns - base > LIMIT_NS);
  if (process.argv.includes('--gates') && over.length > 0) process.exitCode = 1;
  await app.close();
  await server.stop();
}

await main();
