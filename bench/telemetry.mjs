/**
 * What the figures cost: the same calls with nobody listening, with the metrics on and scraped, and with a listener on
 * every channel besides. They take turns in one run, in slices, so that a slow minute hits them all alike.
 *
 * `node bench/telemetry.mjs` prints the table; `--write` also commits it to docs/evidence/bench-telemetry.md, `--gates`
 * fails when a bound is not kept, `--rounds=5` is for a quick look.
 */
import { channel } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { eventSources, registerMetrics, RedisMetrics } from '@anbar/nestjs-redis/monitoring';
import { TELEMETRY_PREFIX } from '@anbar/nestjs-redis/core';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { book, KEYS, ours, TTL } from './cache-field.mjs';
import { disturbance, load as loadOfMachine, machine, today } from './machine.mjs';

const CONCURRENCY = 64;
/** About once for each second of processor time. */
const SLICES_PER_SCRAPE = 8;
const EVIDENCE = new URL('../docs/evidence/bench-telemetry.md', import.meta.url);
const CHANNELS = [
  'connection',
  'cache',
  'cache-changes',
  'l1',
  'rate-limit',
  'http-cache',
  'session',
  'lock',
  'pubsub',
  'tasks',
  'cleanup',
];

const key = (i) => `book:${i % KEYS}`;

/**
 * Who listens, made once: a listener made anew for each slice would be measured while it is still cold. They are taken
 * off and put on again by the channel itself.
 */
function listeners(clients) {
  const metrics = new RedisMetrics({ sources: eventSources(clients) });
  const registry = new Registry();
  registerMetrics(registry, metrics);
  const channels = CHANNELS.map((name) => channel(`${TELEMETRY_PREFIX}${name}`));
  const subscribed = (each) => Reflect.get(each, '_subscribers') ?? [];
  const theirs = channels.flatMap((each) => subscribed(each).map((listener) => [each, listener]));
  const all = [...theirs, ...channels.map((each) => [each, countEvent])];
  const during = (pairs) => () => {
    for (const [each, listener] of pairs) each.subscribe(listener);
    return () => pairs.forEach(([each, listener]) => each.unsubscribe(listener));
  };
  for (const [each, listener] of theirs) each.unsubscribe(listener);
  if (theirs.length < 5) throw new Error('the metrics listen to nothing, so nothing would be measured');
  return { registry, modes: { off: during([]), metrics: during(theirs), everything: during(all) } };
}

let heard = 0;
function countEvent() {
  heard += 1;
}

/**
 * Listening is a matter of the whole process: it begins before a slice and ends after it. What has just changed is
 * compiled anew, so a slice is so many calls, not so much time, and the first of them are not measured.
 */
async function measured(begin, scrape, operation, { concurrency, calls, stride }) {
  const end = begin();
  await run(operation, { concurrency, calls: calls / 2, stride });
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  scrape?.();
  await run(operation, { concurrency, calls, stride });
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  end();
  return { rate: calls / ms, cpu: (user + system) / calls };
}

async function run(operation, { concurrency, calls, stride }) {
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
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** Medians, and those of the ratios within each round; who begins changes from round to round. */
async function compare({ modes, registry }, operation, { only, ...options }) {
  const names = Object.keys(modes).filter((name) => name !== 'everything' || !only);
  const found = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    const order = names.map((_, i) => names[(i + round + names.length) % names.length]);
    for (const name of round % 2 === 0 ? order : order.toReversed()) {
      const asks = name !== 'off' && (round + 1) % SLICES_PER_SCRAPE === 0;
      const scrape = asks ? () => void registry.metrics() : undefined;
      const slice = await measured(modes[name], scrape, operation, options);
      if (round >= 0) found[name].push(slice);
    }
  }
  const ratio = (name, pick) =>
    median(found[name].map((slice, round) => pick(slice) / pick(found.off[round])));
  return names.map((name) => ({
    name,
    rate: median(found[name].map(({ rate }) => rate)),
    cpu: median(found[name].map(({ cpu }) => cpu)),
    more: ratio(name, ({ cpu }) => cpu) - 1,
    slower: ratio(name, ({ rate }) => 1 / rate) - 1,
  }));
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const rounds = Number(process.argv.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 21);
const before = loadOfMachine();
const { startStandalone } = await loadTypescript('./index.ts');
const server = await startStandalone();
const near = ours(server.url, 'telemetry-near');
const far = ours(server.url, 'telemetry-far', { cache: { l1: false } });
await Promise.all([near.connect(), far.connect()]);
for (let i = 0; i < KEYS; i += 1) {
  await Promise.all([near.cache.set(key(i), book(i), TTL), far.cache.set(key(i), book(i), TTL)]);
}
for (let pass = 0; pass < 3; pass += 1) for (let i = 0; i < KEYS; i += 1) await near.cache.get(key(i));

const listening = listeners([near.adapter.port, far.adapter.port]);
const value = book(1);
const IN_MEMORY = { calls: 64_000, stride: 32, bound: 0.1 };
/** The listener on every read costs a hit in memory most; on the way to Redis only the metrics are looked at. */
const IN_REDIS = { stride: 1, bound: 0.03, only: true };
const scenarios = {
  'hit in memory, `get`': { ...IN_MEMORY, operation: (i) => near.cache.get(key(i)) },
  'hit in memory, `getOrSet`': { ...IN_MEMORY, operation: (i) => near.cache.getOrSet(key(i), () => value) },
  'hit in Redis, `get`': { ...IN_REDIS, calls: 8_000, operation: (i) => far.cache.get(key(i)) },
  '`set`': { ...IN_REDIS, calls: 5_000, operation: (i) => far.cache.set(`set:${i % KEYS}`, value, TTL) },
  'a bare command': {
    ...IN_REDIS,
    calls: 20_000,
    operation: (i) => far.adapter.port.command('GET', [`bare:${i % KEYS}`]),
  },
};

const COLUMNS = 8;
const lines = [
  '| call | listening | k/s | CPU µs per call | more CPU time | slower | allowed | kept |',
  '| --- | --- | --- | --- | --- | --- | --- | --- |',
];
let failed = false;
for (const [name, { operation, bound, ...options }] of Object.entries(scenarios)) {
  for (const slice of await compare(listening, operation, { concurrency: CONCURRENCY, ...options })) {
    const { name: mode, rate, cpu, more, slower } = slice;
    const row = [name, mode, rate.toFixed(1), cpu.toFixed(2)];
    if (mode !== 'off') row.push(percent(more), percent(slower));
    if (mode === 'metrics') {
      failed ||= more > bound;
      row.push(percent(bound), more > bound ? 'no' : 'yes');
    }
    while (row.length < COLUMNS) row.push('');
    lines.push(`| ${row.join(' | ')} |`);
  }
}
await Promise.all([near.disconnect(), far.disconnect()]);
await server.stop();

const text = `# What telemetry costs

${today()} · ${machine()} · \`node bench/telemetry.mjs --write\`

Values of 1 KB. \`metrics\`: every group on, scraped once a second. \`everything\`: a listener on every channel besides, also
on the one that tells of every read, which the metrics do without. Medians over ${rounds} rounds of slices that take turns; CPU
time is that of this process.

${disturbance(before, loadOfMachine())}

${lines.join('\n')}
`;
console.log(text);
console.log(`events heard besides: ${heard}`);
if (process.argv.includes('--write')) writeFileSync(EVIDENCE, text);
if (process.argv.includes('--gates') && failed) process.exitCode = 1;

function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}
