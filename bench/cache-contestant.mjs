/**
 * One library of the cache bench, in a process of its own: what it leaves to the collector, does to the prototypes
 * that all share, and teaches the compiler, no other contestant has to carry. It runs a slice when it is told to.
 */
import {
  bareDrivers,
  book,
  KEYS,
  loadRivals,
  openBento,
  openCacheable,
  openManager,
  ours,
  TTL,
  TTL_MS,
} from './cache-field.mjs';
import { slice } from './slices.mjs';

const key = (i) => `book:${i % KEYS}`;
const tagged = (i) => `tagged:${i % KEYS}`;
const value = book(1);
const load = async () => value;

/** Everybody holds the same books, and has read each once, so that the first tier is warm. */
async function fill(set, get) {
  for (let i = 0; i < KEYS; i += 1) await set(key(i), book(i));
  for (let i = 0; i < KEYS; i += 1) await get(key(i));
}

/** Each miss has a key of its own. */
function counting(operation) {
  let count = 0;
  return () => operation((count += 1));
}

/** What each can be told to do: the scenario, and which way of its own. */
const LIBRARIES = {
  async anbar(url) {
    const near = ours(url, 'anbar-tiered');
    const far = ours(url, 'anbar-remote', { cache: { l1: false } });
    await Promise.all([near.connect(), far.connect()]);
    const [tiered, remote] = [near.cache, far.cache];
    for (const cache of [tiered, remote]) {
      await fill(
        (name, held) => cache.set(name, held, TTL),
        (name) => cache.get(name),
      );
      const tags = ['shelf:7'];
      for (let i = 0; i < KEYS; i += 1) await cache.set(tagged(i), book(i), { ttl: TTL, tags });
      for (let i = 0; i < KEYS; i += 1) await cache.get(tagged(i));
      // What L1 takes in depends on tracking standing, which takes a moment after the first read.
      for (let i = 0; i < KEYS; i += 1) await Promise.all([cache.get(key(i)), cache.get(tagged(i))]);
    }
    const missing = { ttl: TTL };
    return {
      'l1-get': { anbar: (i) => tiered.get(key(i)) },
      'l1-getOrSet': { anbar: (i) => tiered.getOrSet(key(i), load) },
      'l1-tagged': {
        'anbar, untagged': (i) => tiered.get(key(i)),
        'anbar, tagged': (i) => tiered.get(tagged(i)),
      },
      'l2-get': { anbar: (i) => remote.get(key(i)) },
      'l2-getOrSet': { anbar: (i) => remote.getOrSet(key(i), load) },
      'l2-tagged': {
        'anbar, untagged': (i) => remote.get(key(i)),
        'anbar, tagged': (i) => remote.get(tagged(i)),
      },
      set: { anbar: (i) => tiered.set(`set:${i % KEYS}`, value, TTL) },
      miss: {
        anbar: counting((n) => tiered.getOrSet(`miss:${n}`, load, missing)),
        'anbar, no L1': counting((n) => remote.getOrSet(`miss:${n}`, load, missing)),
      },
    };
  },

  async bentocache(url, rivals) {
    const tiered = openBento(rivals, url, { l1: true, l2: true, bus: true });
    const busless = openBento(rivals, url, { l1: true, l2: true, bus: false });
    const remote = openBento(rivals, url, { l1: false, l2: true, bus: false });
    for (const cache of [tiered, busless, remote]) {
      await fill(
        (name, held) => cache.set({ key: name, value: held, ttl: TTL }),
        (name) => cache.get({ key: name }),
      );
      const tags = ['shelf:7'];
      for (let i = 0; i < KEYS; i += 1) await cache.set({ key: tagged(i), value: book(i), ttl: TTL, tags });
      for (let i = 0; i < KEYS; i += 1) await cache.get({ key: tagged(i) });
    }
    return {
      'l1-get': {
        bentocache: (i) => tiered.get({ key: key(i) }),
        'bentocache, no bus': (i) => busless.get({ key: key(i) }),
      },
      'l1-getOrSet': { bentocache: (i) => tiered.getOrSet({ key: key(i), factory: load }) },
      'l1-tagged': {
        'bentocache, untagged': (i) => tiered.get({ key: key(i) }),
        'bentocache, tagged': (i) => tiered.get({ key: tagged(i) }),
      },
      'l2-get': { bentocache: (i) => remote.get({ key: key(i) }) },
      'l2-getOrSet': { bentocache: (i) => remote.getOrSet({ key: key(i), factory: load }) },
      'l2-tagged': {
        'bentocache, untagged': (i) => remote.get({ key: key(i) }),
        'bentocache, tagged': (i) => remote.get({ key: tagged(i) }),
      },
      set: {
        bentocache: (i) => tiered.set({ key: `set:${i % KEYS}`, value, ttl: TTL }),
        'bentocache, no bus': (i) => busless.set({ key: `set:${i % KEYS}`, value, ttl: TTL }),
      },
      miss: { bentocache: counting((n) => tiered.getOrSet({ key: `miss:${n}`, factory: load, ttl: TTL })) },
    };
  },

  async cacheable(url, rivals) {
    const tiered = openCacheable(rivals, url, 'both');
    const remote = openCacheable(rivals, url, 'l2');
    for (const cache of [tiered, remote]) await fillInMs(cache);
    return {
      'l1-get': { cacheable: (i) => tiered.get(key(i)) },
      'l1-getOrSet': { cacheable: (i) => tiered.getOrSet(key(i), load) },
      'l2-get': { cacheable: (i) => remote.get(key(i)) },
      'l2-getOrSet': { cacheable: (i) => remote.getOrSet(key(i), load) },
      set: { cacheable: (i) => tiered.set(`set:${i % KEYS}`, value, TTL_MS) },
    };
  },

  async 'cache-manager'(url, rivals) {
    const memory = openManager(rivals, url, 'l1');
    const remote = openManager(rivals, url, 'l2');
    for (const cache of [memory, remote]) await fillInMs(cache);
    return {
      'l1-get': { 'cache-manager': (i) => memory.get(key(i)) },
      'l1-getOrSet': { 'cache-manager': (i) => memory.wrap(key(i), load) },
      'l2-get': { 'cache-manager': (i) => remote.get(key(i)) },
      'l2-getOrSet': { 'cache-manager': (i) => remote.wrap(key(i), load) },
      set: { 'cache-manager': (i) => remote.set(`set:${i % KEYS}`, value, TTL_MS) },
    };
  },

  async ioredis(url) {
    const { plain, auto } = bareDrivers(url);
    await fill(
      (name, held) => auto.set(`bare:${name}`, JSON.stringify(held), 'PX', TTL_MS),
      (name) => auto.get(`bare:${name}`),
    );
    const read = (driver) => async (i) => JSON.parse(await driver.get(`bare:${key(i)}`));
    const unguarded = (driver, prefix) => async (n) => {
      const name = `${prefix}:${n}`;
      const found = await driver.get(name);
      if (found !== null) return JSON.parse(found);
      const loaded = await load();
      await driver.set(name, JSON.stringify(loaded), 'PX', TTL_MS);
      return loaded;
    };
    return {
      'l2-get': { ioredis: read(plain), 'ioredis, auto-pipelined': read(auto) },
      set: {
        'ioredis, auto-pipelined': (i) =>
          auto.set(`bare:set:${i % KEYS}`, JSON.stringify(value), 'PX', TTL_MS),
      },
      miss: {
        'ioredis GET + SET': counting(unguarded(plain, 'bare:miss:plain')),
        'ioredis GET + SET, auto-pipelined': counting(unguarded(auto, 'bare:miss:auto')),
      },
    };
  },

  async 'lru-cache'(_url, rivals) {
    const lru = new rivals.LRUCache({ max: 200_000, ttl: TTL_MS });
    for (let i = 0; i < KEYS; i += 1) lru.set(key(i), book(i));
    return { 'l1-get': { 'bare lru-cache': async (i) => lru.get(key(i)) } };
  },
};

function fillInMs(cache) {
  return fill(
    (name, held) => cache.set(name, held, TTL_MS),
    (name) => cache.get(name),
  );
}

const [library, url] = process.argv.slice(2);
const scenarios = await LIBRARIES[library](url, await loadRivals());
process.on('message', ({ scenario, who, ...options }) => {
  void slice(scenarios[scenario][who], options).then((result) => process.send(result));
});
process.on('disconnect', () => process.exit());
process.send(Object.fromEntries(Object.entries(scenarios).map(([name, its]) => [name, Object.keys(its)])));
