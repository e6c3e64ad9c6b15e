/**
 * Sharding: balance, movement and look-up of the slot table beside `hashring`; reading many keys at once; the hit
 * rate while a shard is added, with and without warm-up; and what three shards feel when the fourth is gone.
 *
 * `npm run build && node bench/sharding.mjs` prints the report, `--write` also commits it to
 * docs/evidence/bench-sharding.md; `--only=outage` (or balance, moves, many, growing) runs one part.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { slotOf, SlotTable } from '@anbar/nestjs-redis/cache';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import { machine, today } from './machine.mjs';

const EVIDENCE = new URL('../docs/evidence/bench-sharding.md', import.meta.url);
const { startShards } = await loadTypescript('./index.ts');
const { openSharded } = await loadTypescript('../faults-cache/sharded-hunt.ts');
const HashRing = createRequire(new URL('./package.json', import.meta.url))('hashring');

const KEYS = 1_000_000;
/** So many are looked up again and again, as in an application. */
const HOT = 20_000;
const keys = Array.from({ length: KEYS }, (_, i) => `shop:product:${String(i).padStart(9, '0')}`);
const shares = (weights) => weights.map((weight, i) => ({ id: `s${i}`, weight }));
const equal = (count) => shares(Array.from({ length: count }, () => 1));
const percent = (part) => `${(part * 100).toFixed(2)} %`;

function ringOf(list) {
  return new HashRing(Object.fromEntries(list.map(({ id, weight }) => [id, weight])), 'md5', {
    'max cache size': 1,
  });
}

function worst(list, ownerOf, sample) {
  const counts = new Map();
  for (const key of sample) counts.set(ownerOf(key), (counts.get(ownerOf(key)) ?? 0) + 1);
  const total = list.reduce((sum, { weight }) => sum + weight, 0);
  return Math.max(
    ...list.map(({ id, weight }) => {
      const share = (sample.length * weight) / total;
      return Math.abs((counts.get(id) ?? 0) - share) / share;
    }),
  );
}

function nanoseconds(ownerOf, rounds) {
  for (let i = 0; i < 20_000; i += 1) ownerOf(keys[i]);
  // Of the processor, as the machine has others to serve.
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i += 1) ownerOf(keys[i % HOT]);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / rounds;
}

function balance() {
  const rows = [];
  const ringSample = keys.slice(0, 100_000);
  for (const [name, list] of [
    ['3', equal(3)],
    ['8', equal(8)],
    ['64', equal(64)],
    ['1:2:4', shares([1, 2, 4])],
  ]) {
    const table = SlotTable.of(list);
    const ring = ringOf(list);
    const own = (key) => table.ownerOf(slotOf(key));
    const theirs = (key) => ring.get(key);
    const figures = [
      percent(worst(list, own, keys)),
      percent(worst(list, theirs, ringSample)),
      `${Math.round(nanoseconds(own, KEYS))} ns`,
      `${Math.round(nanoseconds(theirs, 100_000))} ns`,
    ];
    rows.push(`| ${name} | ${figures.join(' | ')} |`);
  }
  return [
    '## Balance and look-up',
    '',
    '1,000,000 keys (hashring: 100,000). The worst error is how far the worst shard is from its share, as a part of that',
    'share. With 64 shards each has exactly 256 slots; what is left is chance among 15,625 keys a shard. A look-up is in',
    'time of the processor.',
    '',
    '| shards | worst error, slot table | hashring | look-up, slot table | hashring |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ];
}

function moves() {
  const rows = [1, 3, 8, 31].map((count) => {
    const before = SlotTable.of(equal(count));
    const after = before.with(equal(count + 1));
    let moved = 0;
    let wrong = 0;
    for (const key of keys) {
      const slot = slotOf(key);
      const to = after.ownerOf(slot);
      if (before.ownerOf(slot) === to) continue;
      moved += 1;
      if (to !== `s${count}`) wrong += 1;
    }
    return `| ${count} → ${count + 1} | ${percent(moved / KEYS)} | ${percent(1 / (count + 1))} | ${wrong} |`;
  });
  return [
    '## One more shard',
    '',
    '| change | moved | ideal | moved between others |',
    '| --- | --- | --- | --- |',
    ...rows,
  ];
}

async function many() {
  const servers = await startShards(8);
  const urls = Object.fromEntries(servers.urls.map((url, i) => [`s${i}`, url]));
  const cache = openSharded({ urls, namespace: 'bench', leaseMs: 2_000 });
  await cache.connect({ timeout: '30s' });
  const some = keys.slice(0, 100);
  await cache.setMany(some.map((key) => [key, { key }]));
  const calls = async () =>
    Promise.all(
      servers.shards.map(async ({ process: server }) => {
        const { cmdstat_mget: mget = '', cmdstat_get: get = '' } = await server.info('commandstats');
        return [mget, get].reduce((sum, text) => sum + Number(/calls=(\d+)/u.exec(text)?.[1] ?? 0), 0);
      }),
    );
  const before = await calls();
  await cache.getMany(some);
  const after = await calls();
  const best = { many: Infinity, loop: Infinity };
  for (let round = 0; round < 30; round += 1) {
    let startedAt = performance.now();
    await cache.getMany(some);
    best.many = Math.min(best.many, performance.now() - startedAt);
    startedAt = performance.now();
    for (const key of some) await cache.get(key);
    best.loop = Math.min(best.loop, performance.now() - startedAt);
  }
  await cache.disconnect();
  await servers.stop();
  return [
    '## Many keys at once',
    '',
    `\`getMany\` of 100 keys on 8 shards: ${best.many.toFixed(2)} ms; a loop of \`get\`: ${best.loop.toFixed(2)} ms; ` +
      `${(best.loop / best.many).toFixed(1)} ×. Commands each shard was asked with: ` +
      `${after.map((count, i) => count - before[i]).join(', ')}.`,
  ];
}

async function growing() {
  const servers = await startShards(4);
  const [a, b, c, d] = servers.urls;
  const cache = openSharded({ urls: { a, b, c }, namespace: 'grow', leaseMs: 2_000 });
  await cache.connect({ timeout: '30s' });
  const some = keys.slice(0, 60_000);
  await cache.setMany(
    some.map((key) => [key, { key }]),
    '1h',
  );
  const windows = [];
  const running = new AbortController();
  const load = async () => {
    for (let i = 0; !running.signal.aborted;) {
      let hits = 0;
      const size = 50;
      for (let n = 0; n < size; n += 1, i += 1)
        if ((await cache.get(some[(i * 7) % some.length])) !== undefined) hits += 1;
      windows.push(hits / size);
    }
  };
  const loading = Promise.all(Array.from({ length: READERS }, load));
  const startedAt = performance.now();
  await cache.addShard('d', { options: d });
  const took = performance.now() - startedAt;
  running.abort();
  await loading;
  const before = SlotTable.of(shares([1, 1, 1]));
  const after = before.with(shares([1, 1, 1, 1]));
  const cold = some.filter((key) => before.ownerOf(slotOf(key)) !== after.ownerOf(slotOf(key))).length;
  const ring = [ringOf(shares([1, 1, 1])), ringOf(shares([1, 1, 1, 1]))];
  const lostByRing = some.filter((key) => ring[0].get(key) !== ring[1].get(key)).length;
  await cache.disconnect();
  await servers.stop();
  return [
    '## Hit rate while growing',
    '',
    `3 → 4 shards under load, ${some.length} keys, ${Math.round(took)} ms: the worst of ${windows.length} windows of 50 ` +
      `reads had ${percent(Math.min(...windows))} hits. The same change without warm-up leaves ` +
      `${percent(1 - cold / some.length)} at first; a ring without warm-up ${percent(1 - lostByRing / some.length)}.`,
  ];
}

const DEADLINE_MS = 250;
const WATCH_MS = 3_000;
const READERS = 8;
/** How often it goes and comes back. */
const OUTAGES = 9;
/** What is done to the server, and how it is undone; nothing is done to the first, for comparison. */
const FAULTS = {
  none: [async () => {}, async () => {}],
  killed: [(server) => server.kill(), (server) => server.restart('keepData')],
  frozen: [(server) => server.freeze(), (server) => server.thaw()],
};

/** Three shards are read all the time; a few readers want the fourth, which answers, and then does not. */
async function outage() {
  const rows = [];
  for (const [fault, [begin, end]] of Object.entries(FAULTS)) {
    const servers = await startShards(4, { keepData: true });
    const urls = Object.fromEntries(servers.urls.map((url, i) => [`s${i}`, url]));
    const plan = { urls, namespace: 'outage', leaseMs: 1_000 };
    const cache = openSharded(plan, `${DEADLINE_MS}ms`);
    await cache.connect({ timeout: '30s' });
    const some = keys.slice(0, 2_000);
    await cache.setMany(some.map((key) => [key, { key }]));
    const dead = servers.shards[3].process;
    const away = some.filter((key) => cache.shardFor(key) === 's3');
    const others = some.filter((key) => cache.shardFor(key) !== 's3');
    await watch(cache, others, away);
    const seen = [];
    for (let round = 0; round < OUTAGES; round += 1) {
      const before = await watch(cache, others, away);
      await begin(dead);
      const during = await watch(cache, others, away);
      await cache.invalidateTags('any').catch(() => undefined);
      const after = await watch(cache, others, away);
      seen.push({
        before: quantile(before.others, 0.99),
        during: quantile(during.others, 0.99),
        after: quantile(after.others, 0.99),
        slowest: Math.max(...during.away),
        later: quantile(after.away, 0.99),
      });
      await end(dead);
      await answers(cache, away);
    }
    const middle = (of) => quantile(seen.map(of), 0.5).toFixed(2);
    const ratios = seen.map(({ before, during }) => (during / before).toFixed(2)).toSorted();
    rows.push(
      `| ${fault} | ${middle(({ before }) => before)} ms | ${middle(({ during }) => during)} ms | ` +
        `**${middle(({ before, during }) => during / before)}** (${ratios.join(', ')}) | ` +
        `${middle(({ before, after }) => after / before)} | ` +
        `${Math.max(...seen.map(({ slowest }) => slowest)).toFixed(2)} ms | ${middle(({ later }) => later)} ms |`,
    );
    await cache.disconnect();
    await servers.stop();
  }
  return [
    '## One of four is gone',
    '',
    `${READERS} readers of the other three and 2 of the fourth, deadline ${DEADLINE_MS} ms. ${WATCH_MS / 1_000} s each: before, from the moment it goes,`,
    `and after that; ${OUTAGES} times, and the middle one of each figure. The last two columns are calls to the shard that is`,
    'away: the worst of all, and the p99 once the breaker knows. Where nothing was done the ratio says how far the machine',
    'is from being quiet.',
    '',
    '| fault | p99 of the others before | during | ratio | ratio after | its own calls, worst | its own calls later, p99 |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ];
}

/** It is back, and what is read there is kept again. */
async function answers(cache, [key]) {
  for (;;) {
    await cache.set(key, { key }).catch(() => undefined);
    if ((await cache.get(key).catch(() => undefined)) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function watch(cache, others, away) {
  const seen = { others: [], away: [] };
  const end = performance.now() + WATCH_MS;
  const read = async (list, into, seed) => {
    for (let i = seed; performance.now() < end; i += 1) {
      const startedAt = performance.now();
      await cache.get(list[i % list.length]).catch(() => undefined);
      into.push(performance.now() - startedAt);
      // A call that is refused at once would let nobody else have a turn.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await Promise.all([
    ...Array.from({ length: READERS }, (_, i) => read(others, seen.others, i * 97)),
    ...Array.from({ length: 2 }, (_, i) => read(away, seen.away, i * 89)),
  ]);
  return seen;
}

function quantile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const PARTS = { balance, moves, many, growing, outage };
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
const sections = [];
for (const [name, part] of Object.entries(PARTS)) {
  if (only !== undefined && only !== name) continue;
  sections.push('', ...(await part()));
  console.error(`${name} done`);
}
const report = [
  '# Bench: sharding',
  '',
  `${today()} · ${machine()} · \`npm run build && node bench/sharding.mjs --write\``,
  '',
  `hashring 3.2.0 beside it. Load of the machine at the end: ${loadavg()[0].toFixed(1)} on 2 processors.`,
  ...sections,
  '',
].join('\n');
if (process.argv.includes('--write') && only === undefined) writeFileSync(EVIDENCE, report);
else console.log(report);
process.exit(0);
