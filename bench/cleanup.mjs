/**
 * The clean-up of a namespace among a million keys of others, and what an application notices of it: reads over the
 * connection that the clean-up uses, too, in turns with it and without it.
 * Run: `node bench/cleanup.mjs`; `FOREIGN_KEYS`, `ROUNDS` and `BUDGET` change the size.
 */
import { loadavg } from 'node:os';
import { createViteServer } from 'vitest/node';
import { disturbance, load, machine, today } from './machine.mjs';

const vite = await createViteServer({
  configFile: 'vitest.config.ts',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
});
const { createRedis } = await vite.ssrLoadModule('./libs/redis/src/index.ts');
const { startStandalone } = await vite.ssrLoadModule('./test/topology/index.ts');
const { plantForeign } = await vite.ssrLoadModule('./test/faults-cleanup/foreign-keys.ts');
const { plant } = await vite.ssrLoadModule('./test/faults-cleanup/planted-keys.ts');
const { measureForeground } = await vite.ssrLoadModule('./test/faults-cleanup/foreground.ts');

const FOREIGN = Number(process.env.FOREIGN_KEYS ?? 1_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const BUDGET = Number(process.env.BUDGET ?? 50_000);

const server = await startStandalone();
const open = async (cleanup) => {
  const opened = createRedis({ url: server.url, timeout: '5s', cache: { l1: false }, cleanup }, {});
  await opened.connect();
  return opened;
};
/** At the pace that has to go unnoticed, and at one that is done with a million keys soon. */
const redis = await open({});
const hasty = await open({ budgetPerSecond: BUDGET, maxLatency: '1s' });
const client = redis.adapter.port;
const before = load();
console.log(`${today()}, ${machine()}`);

await plantForeign(server.port, FOREIGN);
const planted = await plant(client, 'app', { rounds: 100, seed: 8 });
const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

const { outcome, scanned, removed, expiring, freedBytes, durationMs, pausedMs } = await hasty.cleanup.run();
console.log(`\n${FOREIGN} keys of others, ${planted.fates.size} planted`);
console.log(
  `one run at ${BUDGET} keys a second: ${outcome}, ${(durationMs / 1_000).toFixed(1)} s, of it ${(pausedMs / 1_000).toFixed(1)} s paused, ` +
    `${scanned} keys met, ${total(removed)} removed (${Math.round(freedBytes / 1_024)} KiB), ${total(expiring)} given an expiry`,
);

for (let i = 0; i < 1_000; i += 1) {
  await redis.cache.set(['page', i], { i }, '1h');
  await redis.adapter.set(`page:${i}`, { i }, '1h');
}
const reads = {
  'adapter.get': (i) => redis.adapter.get(`page:${i % 1_000}`),
  'cache.get': (i) => redis.cache.get(['page', i % 1_000]),
};
console.log(
  '\n| reads | p50 without | p50 beside | p99 without | p99 beside | p99 ratio | ratios of rounds | load |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
const ms = (value) => `${value.toFixed(2)} ms`;
for (const [name, read] of Object.entries(reads)) {
  const { without, beside, ratio, spread } = await measureForeground(redis, read, {
    rounds: ROUNDS,
    sliceMs: 1_000,
    concurrency: 8,
  });
  const cells = [
    name,
    ms(without.p50),
    ms(beside.p50),
    ms(without.p99),
    ms(beside.p99),
    ratio.toFixed(2),
    spread.map((value) => value.toFixed(2)).join(' – '),
    (loadavg()[0] ?? 0).toFixed(1),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`\n${disturbance(before, load())}`);
await Promise.all([redis.disconnect(), hasty.disconnect()]);
await server.stop();
await vite.close();
