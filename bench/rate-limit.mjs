/**
 * The limiter beside rate-limiter-flexible, @nestjs/throttler and the bare driver, in one run: the engine at 1 and
 * at 64 callers, and a route of Fastify with and without its limits.
 *
 * `node bench/rate-limit.mjs` prints the table; `--write` also commits it to docs/evidence/bench-rate-limit.md,
 * `--rounds=3` is for a quick look.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createRedis } from '@anbar/nestjs-redis';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { machine, today } from './machine.mjs';
import { compare } from './slices.mjs';

const rivals = createRequire(new URL('./package.json', import.meta.url));
const { Redis } = rivals('ioredis');
const { RateLimiterRedis } = rivals('rate-limiter-flexible');
const autocannon = rivals('autocannon');

const EVIDENCE = new URL('../docs/evidence/bench-rate-limit.md', import.meta.url);
const SERVER = fileURLToPath(new URL('./rate-limit-server.mjs', import.meta.url));
const ROUNDS = Number(process.argv.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 7);
const KEYS = 1_000;
const MANY = 1_000_000;
const CONNECTIONS = 32;
const SLICE_S = 1;
/** Slices of a route for one of the engine. */
const SLICES = 2;

const one = { limit: MANY, window: '1h' };
const three = ['1m', '1h', '1d'].map((window, i) => ({ name: `n${i}`, limit: MANY, window }));
const leased = { name: 'leased', limit: MANY, window: '1s', lease: 100 };
const nothing = { name: 'nothing', limit: 0 };

function contestants(url) {
  const ours = createRedis({ url, timeout: '5s' }, {});
  const bare = new Redis(url);
  const flexible = new RateLimiterRedis({ storeClient: bare, points: MANY, duration: 3_600 });
  const key = (i) => `k${i % KEYS}`;
  return {
    ours,
    field: {
      'anbar, one limit': (i) => ours.limiter.consume(key(i), one),
      'anbar, three limits': (i) => ours.limiter.consume(key(i), three),
      'anbar, hot keys leased': (i) => ours.limiter.consume(`hot${i % 10}`, leased),
      'anbar, denied': () => ours.limiter.consume('denied', nothing),
      'rate-limiter-flexible': (i) => flexible.consume(key(i)),
      'ioredis INCR': (i) => bare.incr(`incr:${key(i)}`),
    },
    async close() {
      bare.disconnect();
      await ours.disconnect();
    },
  };
}

const ROUTES = {
  ours: ['plain', 'one', 'three', 'leased', 'denied', 'shed', 'refused', 'told', 'counted'],
  door: ['plain', 'one', 'denied'],
  throttler: ['plain', 'one', 'three'],
};

/** Each server is a process of its own, and asked for as long as a slice lasts. */
async function startRoutes(url) {
  const field = {};
  const children = [];
  for (const [name, paths] of Object.entries(ROUTES)) {
    const child = fork(SERVER, [name, url]);
    const [port] = await once(child, 'message');
    children.push(child);
    for (const path of paths) {
      const route = `http://127.0.0.1:${port}/${path}`;
      field[`${name} ${path}`] = { slice: () => load(route, child) };
    }
  }
  return {
    field,
    close() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

async function load(url, child) {
  const before = await processorOf(child);
  const { errors, requests, duration } = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: SLICE_S,
  });
  if (errors > 0) throw new Error(`${url}: ${errors} errors`);
  const cpu = (await processorOf(child)) - before;
  return { done: requests.total, failed: 0, seconds: duration, cpu };
}

/** Microseconds of processor time it has had. */
async function processorOf(child) {
  child.send('cpu');
  const [{ user, system }] = await once(child, 'message');
  return user + system;
}

async function main() {
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const { ours, field, ...rest } = contestants(server.url);
  await ours.connect();
  const engine = ['| callers | who | k/s | CPU µs per call | failed |', '| --- | --- | --- | --- | --- |'];
  const runs = new Map();
  for (const concurrency of [1, 64]) {
    const run = await compare(field, { concurrency, rounds: ROUNDS });
    runs.set(concurrency, run);
    for (const { name, rate, cpu, failed } of run.results) {
      engine.push(`| ${concurrency} | ${name} | ${rate.toFixed(1)} | ${cpu.toFixed(1)} | ${failed} |`);
    }
  }
  await rest.close();
  const routes = await startRoutes(server.url);
  const asked = await compare(routes.field, { concurrency: CONNECTIONS, rounds: ROUNDS * SLICES });
  routes.close();
  const rate = asked.quietCpuRatio;
  const busy = runs.get(64);
  const flexible = 'rate-limiter-flexible';
  const gates = [
    ['route with one limit ÷ without', rate('ours one', 'ours plain'), 0.85],
    ['route with three limits ÷ without', rate('ours three', 'ours plain'), 0.7],
    ['route that denies ÷ without limits', rate('ours denied', 'ours plain'), 0.95],
    [
      'route denied by the plugin of Fastify ÷ one without beside it',
      rate('door denied', 'door plain'),
      0.95,
    ],
    ['route with one limit ÷ the throttler’s', rate('ours one', 'throttler one'), 1.5],
    ['engine, one limit ÷ rate-limiter-flexible', busy.ratio('anbar, one limit', flexible), 1.7],
    ['engine, leased ÷ rate-limiter-flexible', busy.ratio('anbar, hot keys leased', flexible), 5],
  ];
  const also = [
    ['route denied by the middleware ÷ without limits', rate('ours shed', 'ours plain')],
    ['route with one limit, by the plugin ÷ one without beside it', rate('door one', 'door plain')],
    ['route denied by the plugin ÷ an application without it', rate('door denied', 'ours plain')],
    ['route without limits beside the plugin ÷ without it', rate('door plain', 'ours plain')],
    ['route with a leased limit ÷ without', rate('ours leased', 'ours plain')],
    ['a bare guard of Nest that refuses ÷ without', rate('ours refused', 'ours plain')],
    ['route that denies ÷ a bare guard that refuses', rate('ours denied', 'ours refused')],
    ['a bare guard that sets the same headers ÷ without', rate('ours told', 'ours plain')],
    ['a bare guard that sets them after one INCR ÷ without', rate('ours counted', 'ours plain')],
    ['route with one limit ÷ that guard', rate('ours one', 'ours counted')],
    ['throttler’s route with one ÷ without', rate('throttler one', 'throttler plain')],
    ['throttler’s route with three ÷ without', rate('throttler three', 'throttler plain')],
    ['route with three limits ÷ the throttler’s', rate('ours three', 'throttler three')],
    ['engine, three limits ÷ rate-limiter-flexible with one', busy.ratio('anbar, three limits', flexible)],
    ['engine, one limit ÷ bare INCR', busy.ratio('anbar, one limit', 'ioredis INCR')],
  ];
  const report = [
    '# The limiter beside others',
    '',
    `${today()} · ${machine()} · ${ROUNDS} rounds · load average at the end ${loadavg()[0].toFixed(0)} · \`node bench/rate-limit.mjs --write\``,
    '',
    `The engine: ${KEYS} keys, 64 callers at once where nothing else is said, slices of a quarter of a second in turn.`,
    `Routes: Fastify, ${CONNECTIONS} connections, slices of ${SLICE_S} s in a changing order, the server in a process of its own. Ratios`,
    'of routes are those of its processor time per request, lower quartile of the slices: most of it is spent in the',
    'kernel, which neighbours make dearer. The throttler is @nestjs/throttler 6.7.1 with one script per throttler, as',
    'its Redis storages have it; rate-limiter-flexible is 11.4.0. Ratios of the engine are medians over the rounds.',
    '',
    '| ratio | measured | wanted | met |',
    '| --- | --- | --- | --- |',
    ...gates.map(
      ([what, ratio, least]) =>
        `| ${what} | ${ratio.toFixed(2)} | ≥ ${least} | ${ratio >= least ? 'yes' : 'no'} |`,
    ),
    ...also.map(([what, ratio]) => `| ${what} | ${ratio.toFixed(2)} | | |`),
    '',
    ...engine,
    '',
    '| route | CPU µs per request | requests/s |',
    '| --- | --- | --- |',
    ...asked.results.map(
      ({ name, quietCpu, rate: k }) => `| ${name} | ${quietCpu.toFixed(1)} | ${(k * 1_000).toFixed(0)} |`,
    ),
    '',
  ].join('\n');
  console.log(report);
  if (process.argv.includes('--write')) writeFileSync(EVIDENCE, report);
  await server.stop();
}

await main();
