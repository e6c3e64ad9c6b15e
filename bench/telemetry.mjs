/**
 * What the figures cost: the same calls with nobody listening, with the metrics on and scraped, and with a listener on
 * every channel besides. Each is a process of its own, as an application either has metrics or has none; they take
 * turns in slices, so that a slow minute hits them all alike, and each is started several times, as no two processes
 * are compiled alike.
 *
 * `node bench/telemetry.mjs` prints the table; `--write` also commits it to docs/evidence/bench-telemetry.md, `--gates`
 * fails when a bound is not kept, `--rounds=2` is for a quick look.
 */
import { fork } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { eventSources, registerMetrics, RedisMetrics } from '@anbar/nestjs-redis/monitoring';
import { TELEMETRY_PREFIX } from '@anbar/nestjs-redis/core';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { book, KEYS, ours, TTL } from './cache-field.mjs';
import { disturbance, load as loadOfMachine, machine, today } from './machine.mjs';

const CONCURRENCY = 64;
/** Processes of each kind, one after the other. */
const GENERATIONS = 16;
/** About once for each second of processor time. */
const SLICES_PER_SCRAPE = 8;
const EVIDENCE = new URL('../docs/evidence/bench-telemetry.md', import.meta.url);
const SELF = fileURLToPath(import.meta.url);
const MODES = ['off', 'metrics', 'everything'];
const CHANNELS = [
  'connection',
  'cache',
  'cache-changes',
  'l1',
  'rate-limit',
  'rate-limit-changes',
  'http-cache',
  'session',
  'lock',
  'pubsub',
  'tasks',
  'cleanup',
];

const IN_MEMORY = { calls: 64_000, stride: 32, bound: 0.1, modes: MODES };
/** The listener on every read costs a hit in memory most; on the way to Redis only the metrics are looked at. */
const IN_REDIS = { stride: 1, bound: 0.03, modes: ['off', 'metrics'] };
const SCENARIOS = {
  'hit in memory, `get`': IN_MEMORY,
  'hit in memory, `getOrSet`': IN_MEMORY,
  'hit in Redis, `get`': { ...IN_REDIS, calls: 12_000 },
  '`set`': { ...IN_REDIS, calls: 8_000 },
  'a bare command': { ...IN_REDIS, calls: 30_000 },
};

const key = (i) => `book:${i % KEYS}`;

// -- one process -----------------------------------------------------------------------------------------------

async function contestant(mode, url) {
  const near = ours(url, `telemetry-near-${mode}`);
  const far = ours(url, `telemetry-far-${mode}`, { cache: { l1: false } });
  await Promise.all([near.connect(), far.connect()]);
  const scrape = mode === 'off' ? undefined : listenToAll([near.adapter.port, far.adapter.port]);
  if (mode === 'everything') for (const name of CHANNELS) subscribe(`${TELEMETRY_PREFIX}${name}`, ignore);
  for (let i = 0; i < KEYS; i += 1) {
    await Promise.all([near.cache.set(key(i), book(i), TTL), far.cache.set(key(i), book(i), TTL)]);
  }
  for (let pass = 0; pass < 3; pass += 1) for (let i = 0; i < KEYS; i += 1) await near.cache.get(key(i));
  const value = book(1);
  const operations = {
    'hit in memory, `get`': (i) => near.cache.get(key(i)),
    'hit in memory, `getOrSet`': (i) => near.cache.getOrSet(key(i), () => value),
    'hit in Redis, `get`': (i) => far.cache.get(key(i)),
    '`set`': (i) => far.cache.set(`set:${i % KEYS}`, value, TTL),
    'a bare command': (i) => far.adapter.port.command('GET', [`bare:${i % KEYS}`]),
  };
  let slices = 0;
  process.on('message', ({ name, ...options }) => {
    slices += 1;
    void measured(operations[name], slices % SLICES_PER_SCRAPE === 0 ? scrape : undefined, options).then(
      (slice) => process.send(slice),
    );
  });
  process.on('disconnect', () => process.exit());
  process.send('ready');
}

/** As in an application; what it returns asks for the figures as Prometheus would. */
function listenToAll(clients) {
  const metrics = new RedisMetrics({ sources: eventSources(clients) });
  const registry = new Registry();
  registerMetrics(registry, metrics);
  metrics.start();
  return () => void registry.metrics();
}

function ignore() {
  // That it is called is what costs.
}

/** So many calls, not so much time. */
async function measured(operation, scrape, { calls, stride }) {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  scrape?.();
  let next = 0;
  const worker = async () => {
    while (next < calls) {
      const from = next;
      next += stride;
      for (let i = from; i < from + stride; i += 1) await operation(i);
      // Answers out of memory come without a turn of the event loop.
      if (stride > 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: calls / ms, cpu: (user + system) / calls };
}

// -- the bench -------------------------------------------------------------------------------------------------

async function generation(url, rounds, found) {
  const field = new Map();
  for (const mode of MODES) {
    const child = fork(SELF, ['contestant', mode, url]);
    await once(child, 'message');
    field.set(mode, child);
  }
  for (const [name, { calls, stride, modes }] of Object.entries(SCENARIOS)) {
    // The first rounds are not counted: then it is compiled.
    for (let round = -3; round < rounds; round += 1) {
      const slices = await roundOf(field, modesIn(round, modes), { name, calls, stride });
      if (round < 0) continue;
      for (const [mode, slice] of slices) found[name][mode].push(slice);
    }
  }
  for (const child of field.values()) child.disconnect();
}

/** Who begins changes from round to round. */
function modesIn(round, modes) {
  const order = modes.map((_, i) => modes[(i + round + 3 * modes.length) % modes.length]);
  return round % 2 === 0 ? order : order.toReversed();
}

async function roundOf(field, order, question) {
  const slices = [];
  for (const mode of order) {
    const child = field.get(mode);
    child.send(question);
    const [slice] = await once(child, 'message');
    slices.push([mode, slice]);
  }
  return slices;
}

/** Neighbours on the machine and an unlucky compilation only ever add, so the faster quarter says what a call costs. */
function verdictOf(found) {
  const cpuOf = (mode) => quartile(found[mode].map(({ cpu }) => cpu));
  const timeOf = (mode) => quartile(found[mode].map(({ rate }) => 1 / rate));
  return Object.keys(found).map((mode) => ({
    mode,
    rate: 1 / timeOf(mode),
    cpu: cpuOf(mode),
    more: cpuOf(mode) / cpuOf('off') - 1,
    slower: timeOf(mode) / timeOf('off') - 1,
  }));
}

function quartile(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 4)] ?? Number.NaN;
}

function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

async function main() {
  const rounds = Number(process.argv.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 5);
  const before = loadOfMachine();
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const found = Object.fromEntries(
    Object.entries(SCENARIOS).map(([name, { modes }]) => [
      name,
      Object.fromEntries(modes.map((mode) => [mode, []])),
    ]),
  );
  for (let i = 0; i < GENERATIONS; i += 1) await generation(server.url, rounds, found);
  await server.stop();

  const lines = [];
  let failed = false;
  for (const [name, { bound }] of Object.entries(SCENARIOS)) {
    for (const { mode, rate, cpu, more, slower } of verdictOf(found[name])) {
      const figures = mode === 'off' ? ['', ''] : [percent(more), percent(slower)];
      const judged = mode === 'metrics' ? [percent(bound), more > bound ? 'no' : 'yes'] : ['', ''];
      failed ||= mode === 'metrics' && more > bound;
      lines.push(`| ${[name, mode, rate.toFixed(1), cpu.toFixed(2), ...figures, ...judged].join(' | ')} |`);
    }
  }
  const report = [
    '# What telemetry costs',
    '',
    `${today()} · ${machine()} · \`node bench/telemetry.mjs --write\``,
    '',
    'Values of 1 KB. `metrics`: every group on, scraped once a second. `everything`: a listener on every channel besides,',
    'also on the one that tells of every read, which the metrics do without. Each is a process of its own, started',
    `${GENERATIONS} times, in slices that take turns. Of the ${GENERATIONS * rounds} slices of each the quarter that was fastest ends at the figure`,
    'shown, as whatever disturbs a slice makes it slower; CPU time is that of this process.',
    '',
    disturbance(before, loadOfMachine()),
    '',
    '| call | listening | k/s | CPU µs per call | more CPU time | slower | allowed | kept |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
  console.log(report);
  if (process.argv.includes('--write')) writeFileSync(EVIDENCE, report);
  if (process.argv.includes('--gates') && failed) process.exitCode = 1;
}

if (process.argv[2] === 'contestant') await contestant(process.argv[3], process.argv[4]);
else await main();
