/** What one entry in L1 costs: fills 100,000 of them and prints the growth. Run by cache.mjs with --expose-gc. */
import {
  book,
  openBento,
  openCacheable,
  openManager,
  loadRivals,
  ours,
  TTL,
  TTL_MS,
} from './cache-field.mjs';

const ENTRIES = 100_000;
const AT_ONCE = 500;

const [subject, url] = process.argv.slice(2);
const rivals = await loadRivals();

const name = (i) => `memory:${i}`;

/** Fills the first tier: how depends on who it is. */
const SUBJECTS = {
  async anbar() {
    const limits = { maxEntries: 2 * ENTRIES, maxBytes: 2 ** 30 };
    const redis = ours(url, 'anbar-memory', { cache: { l1: limits } });
    const { cache } = redis;
    await redis.connect();
    await cache.get('warm');
    return {
      fill: async (i) => {
        await cache.set(name(i), book(i), TTL);
        await cache.get(name(i));
      },
      keep: cache,
    };
  },
  async bentocache() {
    const cache = openBento(rivals, url, { l1: true, l2: false, bus: false });
    return { fill: (i) => cache.set({ key: name(i), value: book(i), ttl: TTL }), keep: cache };
  },
  async cacheable() {
    const cache = openCacheable(rivals, url, 'both');
    return { fill: (i) => cache.set(name(i), book(i), TTL_MS), keep: cache };
  },
  async 'cache-manager'() {
    const cache = openManager(rivals, url, 'l1');
    return { fill: (i) => cache.set(name(i), book(i), TTL_MS), keep: cache };
  },
  async 'bare lru-cache'() {
    // A value fresh from JSON, as all of them would have it from Redis.
    const cache = new rivals.LRUCache({ max: 2 * ENTRIES, ttl: TTL_MS });
    return { fill: (i) => cache.set(name(i), JSON.parse(JSON.stringify(book(i)))), keep: cache };
  },
};

async function settledMemory() {
  for (let i = 0; i < 4; i += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

const { fill, keep } = await SUBJECTS[subject]();
await Promise.all(Array.from({ length: 100 }, (_, i) => fill(-1 - i)));
const before = await settledMemory();
for (let i = 0; i < ENTRIES; i += AT_ONCE) {
  await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => fill(i + n)));
}
const perEntry = Math.round(((await settledMemory()) - before) / ENTRIES);
console.log(JSON.stringify({ subject, perEntry, held: keep !== undefined }));
process.exit();
