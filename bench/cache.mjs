/**
 * The cache beside bentocache, cacheable, cache-manager, the bare driver and a bare lru-cache, in one run: values
 * of 1 KB, 64 callers at once, everything of ours switched on (fences, tracking, frozen values, checksums).
 *
 * `node bench/cache.mjs` prints the table; `--write` also commits it to docs/evidence/bench-cache.md, `--compare`
 * warns of ratios that are more than a quarter below the committed ones, `--gates` fails when one is not met,
 * `--only=l1-get,set` runs some scenarios, `--rounds=3` is for a quick look.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { loadTypescript } from '../test/topology/load-typescript.mjs';
import {
  bareDrivers,
  openBento,
  book,
  openCacheable,
  openManager,
  KEYS,
  loadRivals,
  ours,
  TTL,
  TTL_MS,
} from './cache-field.mjs';
import { GATES, judge, MEMORY_SUBJECTS, regressions, reportOf } from './cache-report.mjs';
import { load as loadOfMachine } from './machine.mjs';
import { compare } from './slices.mjs';

const CONCURRENCY = 64;
const EVIDENCE = new URL('../docs/evidence/bench-cache.md', import.meta.url);
/** Operations between two looks at the clock, where an operation takes less than the look. */
const STRIDE_IN_MEMORY = 32;

const key = (i) => `book:${i % KEYS}`;
const tagged = (i) => `tagged:${i % KEYS}`;
const value = book(1);
const load = async () => value;

/** Everybody holds the same books, and has read each once, so that their first tier is warm. */
async function fill(set, get) {
  for (let i = 0; i < KEYS; i += 1) await set(key(i), book(i));
  for (let i = 0; i < KEYS; i += 1) await get(key(i));
}

async function openField(rivals, url) {
  const tiered = ours(url, 'anbar-tiered');
  const remote = ours(url, 'anbar-remote', { cache: { l1: false } });
  await tiered.connect();
  await remote.connect();
  const field = {
    tiered: tiered.cache,
    remote: remote.cache,
    bare: bareDrivers(url),
    bento: openBento(rivals, url, { l1: true, l2: true, bus: true }),
    bentoWithoutBus: openBento(rivals, url, { l1: true, l2: true, bus: false }),
    bentoRemote: openBento(rivals, url, { l1: false, l2: true, bus: false }),
    cacheable: openCacheable(rivals, url, 'both'),
    cacheableRemote: openCacheable(rivals, url, 'l2'),
    manager: openManager(rivals, url, 'l1'),
    managerRemote: openManager(rivals, url, 'l2'),
    lru: new rivals.LRUCache({ max: 200_000, ttl: TTL_MS }),
    async close() {
      field.bare.plain.disconnect();
      field.bare.auto.disconnect();
      await Promise.all([tiered.disconnect(), remote.disconnect()]);
      await Promise.allSettled(
        [field.bento, field.bentoWithoutBus, field.bentoRemote].map((each) => each.disconnectAll()),
      );
      await Promise.allSettled(
        [field.cacheable, field.cacheableRemote, field.manager, field.managerRemote].map((each) =>
          each.disconnect(),
        ),
      );
    },
  };
  await warmUp(field);
  return field;
}

async function warmUp(field) {
  const { auto } = field.bare;
  for (const cache of [field.tiered, field.remote]) {
    await fill(
      (name, held) => cache.set(name, held, TTL),
      (name) => cache.get(name),
    );
    for (let i = 0; i < KEYS; i += 1) await cache.set(tagged(i), book(i), { ttl: TTL, tags: ['shelf:7'] });
    for (let i = 0; i < KEYS; i += 1) await cache.get(tagged(i));
    // What L1 takes in depends on tracking standing, which takes a moment after the first read.
    for (let i = 0; i < KEYS; i += 1) await Promise.all([cache.get(key(i)), cache.get(tagged(i))]);
  }
  for (const cache of [field.bento, field.bentoWithoutBus, field.bentoRemote]) {
    await fill(
      (name, held) => cache.set({ key: name, value: held, ttl: TTL }),
      (name) => cache.get({ key: name }),
    );
    for (let i = 0; i < KEYS; i += 1)
      await cache.set({ key: tagged(i), value: book(i), ttl: TTL, tags: ['shelf:7'] });
    for (let i = 0; i < KEYS; i += 1) await cache.get({ key: tagged(i) });
  }
  for (const cache of [field.cacheable, field.cacheableRemote, field.manager, field.managerRemote]) {
    await fill(
      (name, held) => cache.set(name, held, TTL_MS),
      (name) => cache.get(name),
    );
  }
  await fill(
    (name, held) => auto.set(`bare:${name}`, JSON.stringify(held), 'PX', TTL_MS),
    (name) => auto.get(`bare:${name}`),
  );
  for (let i = 0; i < KEYS; i += 1) field.lru.set(key(i), book(i));
}

/** Each miss has a key of its own. */
function counting(operation) {
  let count = 0;
  return () => operation((count += 1));
}

function scenarios(field) {
  const { tiered, remote, bare, bento, bentoWithoutBus, bentoRemote, cacheable, manager, lru } = field;
  const { cacheableRemote, managerRemote } = field;
  const { plain, auto } = bare;
  const unguarded = (driver, prefix) => async (n) => {
    const name = `${prefix}:${n}`;
    const found = await driver.get(name);
    if (found !== null) return JSON.parse(found);
    const loaded = await load();
    await driver.set(name, JSON.stringify(loaded), 'PX', TTL_MS);
    return loaded;
  };
  return {
    'l1-get': {
      stride: STRIDE_IN_MEMORY,
      contestants: {
        anbar: (i) => tiered.get(key(i)),
        bentocache: (i) => bento.get({ key: key(i) }),
        'bentocache, no bus': (i) => bentoWithoutBus.get({ key: key(i) }),
        cacheable: (i) => cacheable.get(key(i)),
        'cache-manager': (i) => manager.get(key(i)),
        'bare lru-cache': async (i) => lru.get(key(i)),
      },
    },
    'l1-getOrSet': {
      stride: STRIDE_IN_MEMORY,
      contestants: {
        anbar: (i) => tiered.getOrSet(key(i), load),
        bentocache: (i) => bento.getOrSet({ key: key(i), factory: load }),
        cacheable: (i) => cacheable.getOrSet(key(i), load),
        'cache-manager': (i) => manager.wrap(key(i), load),
      },
    },
    'l1-tagged': {
      stride: STRIDE_IN_MEMORY,
      contestants: {
        'anbar, untagged': (i) => tiered.get(key(i)),
        'anbar, tagged': (i) => tiered.get(tagged(i)),
        'bentocache, untagged': (i) => bento.get({ key: key(i) }),
        'bentocache, tagged': (i) => bento.get({ key: tagged(i) }),
      },
    },
    'l2-get': {
      contestants: {
        anbar: (i) => remote.get(key(i)),
        bentocache: (i) => bentoRemote.get({ key: key(i) }),
        cacheable: (i) => cacheableRemote.get(key(i)),
        'cache-manager': (i) => managerRemote.get(key(i)),
        ioredis: async (i) => JSON.parse(await plain.get(`bare:${key(i)}`)),
        'ioredis, auto-pipelined': async (i) => JSON.parse(await auto.get(`bare:${key(i)}`)),
      },
    },
    'l2-getOrSet': {
      contestants: {
        anbar: (i) => remote.getOrSet(key(i), load),
        bentocache: (i) => bentoRemote.getOrSet({ key: key(i), factory: load }),
        cacheable: (i) => cacheableRemote.getOrSet(key(i), load),
        'cache-manager': (i) => managerRemote.wrap(key(i), load),
      },
    },
    'l2-tagged': {
      contestants: {
        'anbar, untagged': (i) => remote.get(key(i)),
        'anbar, tagged': (i) => remote.get(tagged(i)),
        'bentocache, untagged': (i) => bentoRemote.get({ key: key(i) }),
        'bentocache, tagged': (i) => bentoRemote.get({ key: tagged(i) }),
      },
    },
    set: {
      contestants: {
        anbar: (i) => tiered.set(`set:${i % KEYS}`, value, TTL),
        bentocache: (i) => bento.set({ key: `set:${i % KEYS}`, value, ttl: TTL }),
        'bentocache, no bus': (i) => bentoWithoutBus.set({ key: `set:${i % KEYS}`, value, ttl: TTL }),
        cacheable: (i) => cacheable.set(`set:${i % KEYS}`, value, TTL_MS),
        'cache-manager': (i) => managerRemote.set(`set:${i % KEYS}`, value, TTL_MS),
        'ioredis, auto-pipelined': (i) =>
          auto.set(`bare:set:${i % KEYS}`, JSON.stringify(value), 'PX', TTL_MS),
      },
    },
    miss: {
      contestants: {
        anbar: counting((n) => tiered.getOrSet(`miss:${n}`, load, { ttl: TTL })),
        'anbar, no L1': counting((n) => remote.getOrSet(`miss:${n}`, load, { ttl: TTL })),
        bentocache: counting((n) => bento.getOrSet({ key: `miss:${n}`, factory: load, ttl: TTL })),
        'ioredis GET + SET': counting(unguarded(plain, 'bare:miss:plain')),
        'ioredis GET + SET, auto-pipelined': counting(unguarded(auto, 'bare:miss:auto')),
      },
      // Each of them leaves what it has stored.
      afterwards: () => plain.flushdb(),
    },
  };
}

/** One process per contestant, so that none counts what another has left. */
async function measureMemory(url) {
  const run = promisify(execFile);
  const script = new URL('./cache-memory.mjs', import.meta.url).pathname;
  const sizes = [];
  for (const subject of MEMORY_SUBJECTS) {
    const { stdout } = await run(process.execPath, ['--expose-gc', script, subject, url]);
    sizes.push(JSON.parse(stdout));
  }
  return sizes;
}

function option(name) {
  const found = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return found?.slice(name.length + 3);
}

async function main() {
  const rivals = await loadRivals();
  if (rivals === undefined) {
    console.error('The rivals are not installed; run `npm ci --prefix bench` once and try again.');
    process.exitCode = 2;
    return;
  }
  const only = option('only')?.split(',');
  const rounds = Number(option('rounds') ?? 9);
  const wanted = (name) => only === undefined || only.includes(name);
  const before = loadOfMachine();
  const { startStandalone } = await loadTypescript('./index.ts');
  const server = await startStandalone();
  const field = await openField(rivals, server.url);
  const runs = new Map();
  for (const [name, { contestants, stride, afterwards }] of Object.entries(scenarios(field))) {
    if (!wanted(name)) continue;
    runs.set(name, await compare(contestants, { concurrency: CONCURRENCY, rounds, stride }));
    await afterwards?.();
  }
  await field.close();
  const memory = wanted('memory') ? await measureMemory(server.url) : [];
  await server.stop();
  const verdicts = GATES.flatMap((gate) => judge(gate, runs));
  const report = reportOf({
    runs,
    verdicts,
    memory,
    concurrency: CONCURRENCY,
    loads: [before, loadOfMachine()],
  });
  console.log(report);
  if (process.argv.includes('--compare')) {
    for (const line of regressions(verdicts, readFileSync(EVIDENCE, 'utf8'))) console.warn(line);
  }
  if (process.argv.includes('--write')) writeFileSync(EVIDENCE, report);
  if (process.argv.includes('--gates') && verdicts.some(({ met }) => !met)) process.exitCode = 1;
}

await main();
// Some rivals keep timers and sockets of their own for a while.
process.exit();
