/**
 * Sharding: balance, movement and look-up of the slot table beside `hashring`; reading many keys at once; and the
 * hit rate while a shard is added, with and without warm-up.
 * Run: `npm run build && node bench/sharding.mjs`
 */
import { createRequire } from 'node:module';
import { createViteServer } from 'vitest/node';
import { slotOf, SlotTable } from '@anbar/nestjs-redis/cache';
import { machine, today } from './machine.mjs';

const vite = await createViteServer({
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { openSharded } = await vite.ssrLoadModule('./test/faults-cache/sharded-hunt.ts');
const { startShards } = await vite.ssrLoadModule('./test/topology/index.ts');
const HashRing = createRequire(import.meta.url)('hashring');

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

console.log(`${today()}, ${machine()}`);
console.log('\n| shards | worst error, slot table | hashring | look-up, slot table | hashring |');
console.log('| --- | --- | --- | --- | --- |');
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
  console.log(`| ${name} | ${figures.join(' | ')} |`);
}

console.log('\n| one more shard | moved | ideal | moved between others |');
console.log('| --- | --- | --- | --- |');
for (const count of [1, 3, 8, 31]) {
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
  console.log(
    `| ${count} → ${count + 1} | ${percent(moved / KEYS)} | ${percent(1 / (count + 1))} | ${wrong} |`,
  );
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
  console.log(
    `\ngetMany of 100 keys on 8 shards: ${best.many.toFixed(2)} ms, a loop of get: ${best.loop.toFixed(2)} ms, ` +
      `${(best.loop / best.many).toFixed(1)} ×; reads per shard: ${after.map((count, i) => count - before[i]).join(', ')}`,
  );
  await cache.disconnect();
  await servers.stop();
}

async function growing() {
  const servers = await startShards(4);
  const [a, b, c, d] = servers.urls;
  const cache = openSharded({ urls: { a, b, c }, namespace: 'grow', leaseMs: 2_000 });
  await cache.connect({ timeout: '30s' });
  const some = keys.slice(0, 3_000);
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
  const loading = Promise.all([load(), load()]);
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
  console.log(
    `\n3 → 4 shards under load: worst window of ${windows.length} had ${percent(Math.min(...windows))} hits, ` +
      `${Math.round(took)} ms for ${some.length} keys. Without warm-up the first reads after the change: ` +
      `${percent(1 - cold / some.length)}; a ring: ${percent(1 - lostByRing / some.length)}`,
  );
  await cache.disconnect();
  await servers.stop();
}

const [only] = process.argv.slice(2);
if (only !== 'growing') await many();
await growing();
await vite.close();
process.exit(0);
