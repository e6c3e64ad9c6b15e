/**
 * The rivals as their own pages set them up: bentocache with memory, Redis and its bus; cache-manager with
 * memory (60 s, as in its readme) and @keyv/redis. They are installed apart: `npm ci --prefix bench`.
 */
import { createRequire } from 'node:module';
import type { Figures, OpenOrder, Rival } from './orders.js';
import { tagsOf, type Answer, type Book, type Load, type Subject } from './subject.js';

const HOUR_MS = 3_600_000;
const MEMORY_MS = 60_000;
const ENTRIES = 10_000;

/** Of each package what is called here. */
interface Driver {
  readonly factory: unknown;
}
interface Stack {
  useL1Layer(driver: Driver): Stack;
  useL2Layer(driver: Driver): Stack;
  useBus(driver: Driver): Stack;
}
interface Bento {
  get(options: { key: string }): Promise<Answer>;
  getOrSet<T>(options: {
    key: string;
    ttl: number;
    tags?: readonly string[];
    factory: () => Promise<T>;
  }): Promise<T>;
  set(options: { key: string; value: Book; ttl: number; tags: readonly string[] }): Promise<unknown>;
  deleteMany(options: { keys: readonly string[] }): Promise<unknown>;
  deleteByTag(options: { tags: readonly string[] }): Promise<unknown>;
  clear(): Promise<unknown>;
  disconnectAll(): Promise<void>;
}
interface BentoPackage {
  readonly BentoCache: new (options: { default: string; prefix: string; stores: object }) => Bento;
  readonly bentostore: () => Stack;
}
interface BentoDrivers {
  readonly memoryDriver: (options: { maxItems: number }) => Driver;
  readonly redisDriver: (options: { connection: object }) => Driver;
  readonly redisBusDriver: (options: { connection: object }) => Driver;
}
interface Manager {
  get(key: string): Promise<Answer>;
  mget(keys: readonly string[]): Promise<readonly Answer[]>;
  wrap<T>(key: string, load: () => Promise<T>, ttl: number): Promise<T>;
  set(key: string, book: Book, ttl: number): Promise<unknown>;
  mdel(keys: readonly string[]): Promise<unknown>;
  clear(): Promise<unknown>;
  disconnect(): Promise<unknown>;
}
interface ManagerPackage {
  readonly createCache: (options: { stores: readonly object[] }) => Manager;
}
type Constructor<Options extends readonly unknown[]> = new (...options: Options) => object;
interface KeyvPackages {
  readonly Keyv: Constructor<[{ store: object; namespace: string; useKeyPrefix?: boolean }]>;
  readonly CacheableMemory: Constructor<[{ ttl: number; lruSize: number }]>;
  readonly KeyvRedis: Constructor<[string]>;
}

const NO_FIGURES: Figures = { l1Hits: 0, loads: 0, refusedFills: 0, failures: 0 };

const HOW_TO_INSTALL = 'the rivals are not installed: `npm ci --prefix bench` does it';

const requireRival = createRequire(new URL('../../bench/package.json', import.meta.url));

function from<Package>(name: string): Package {
  try {
    return requireRival(name) as Package;
  } catch (cause) {
    throw new Error(`${HOW_TO_INSTALL} (${name})`, { cause });
  }
}

export function versionOf(rival: Rival | '@keyv/redis'): string {
  const manifest = from<{ dependencies: Record<string, string> }>('./package.json');
  return manifest.dependencies[rival] ?? 'unknown';
}

export async function openRival(rival: Rival, order: OpenOrder): Promise<Subject> {
  const url = String(order.options.url);
  const subject =
    rival === 'bentocache' ? openBento(url, order.cacheName) : openManager(url, order.cacheName);
  // Connected, and its bus subscribed, before it is asked for anything that counts.
  await subject.get(-1);
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  return subject;
}

const name = (key: number): string => `book:${key}`;

function openBento(url: string, prefix: string): Subject {
  const { BentoCache, bentostore } = from<BentoPackage>('bentocache');
  const { memoryDriver } = from<BentoDrivers>('bentocache/drivers/memory');
  const { redisDriver, redisBusDriver } = from<BentoDrivers>('bentocache/drivers/redis');
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port) };
  const stack = bentostore()
    .useL1Layer(memoryDriver({ maxItems: ENTRIES }))
    .useL2Layer(redisDriver({ connection }))
    .useBus(redisBusDriver({ connection }));
  return new BentoSubject(new BentoCache({ default: 'hunted', prefix, stores: { hunted: stack } }));
}

class BentoSubject implements Subject {
  readonly #bento: Bento;

  constructor(bento: Bento) {
    this.#bento = bento;
  }

  get(key: number): Promise<Answer> {
    return this.#bento.get({ key: name(key) });
  }

  getMany(keys: readonly number[]): Promise<readonly Answer[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  getOrSet(key: number, { run }: Load): Promise<Answer> {
    return this.#bento.getOrSet({ key: name(key), ttl: HOUR_MS, tags: tagsOf(key), factory: () => run(key) });
  }

  getOrSetMany(keys: readonly number[], load: Load): Promise<readonly Answer[]> {
    return Promise.all(keys.map((key) => this.getOrSet(key, load)));
  }

  set(key: number, value: Book): Promise<unknown> {
    return this.#bento.set({ key: name(key), value, ttl: HOUR_MS, tags: tagsOf(key) });
  }

  remove(keys: readonly number[]): Promise<unknown> {
    return this.#bento.deleteMany({ keys: keys.map(name) });
  }

  invalidateTagged(key?: number): Promise<unknown> {
    return this.#bento.deleteByTag({ tags: key === undefined ? ['shelf', 'another'] : [`book:${key}`] });
  }

  removeBelow(key?: number): Promise<unknown> {
    return key === undefined ? this.flush() : this.remove([key]);
  }

  flush(): Promise<unknown> {
    return this.#bento.clear();
  }

  expire(): Promise<void> {
    return Promise.resolve();
  }

  load(key: string, loader: () => Promise<string>): Promise<string> {
    return this.#bento.getOrSet({ key, ttl: HOUR_MS, factory: loader });
  }

  figures(): Figures {
    return NO_FIGURES;
  }

  close(): Promise<void> {
    return this.#bento.disconnectAll();
  }
}

function openManager(url: string, namespace: string): Subject {
  const { createCache } = from<ManagerPackage>('cache-manager');
  const { Keyv } = from<Pick<KeyvPackages, 'Keyv'>>('keyv');
  const { CacheableMemory } = from<Pick<KeyvPackages, 'CacheableMemory'>>('cacheable');
  const { default: KeyvRedis } = from<{ default: KeyvPackages['KeyvRedis'] }>('@keyv/redis');
  const memory = new CacheableMemory({ ttl: MEMORY_MS, lruSize: ENTRIES });
  const stores = [
    new Keyv({ store: memory, namespace }),
    new Keyv({ store: new KeyvRedis(url), namespace, useKeyPrefix: false }),
  ];
  return new ManagerSubject(createCache({ stores }));
}

/** No tags: what a tag would invalidate is deleted by its keys. */
class ManagerSubject implements Subject {
  readonly #manager: Manager;
  /** Keys this process has seen, for what has to go without tags. */
  readonly #keys = new Set<number>();

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  get(key: number): Promise<Answer> {
    return this.#manager.get(this.#nameOf(key));
  }

  getMany(keys: readonly number[]): Promise<readonly Answer[]> {
    return this.#manager.mget(keys.map((key) => this.#nameOf(key)));
  }

  getOrSet(key: number, { run }: Load): Promise<Answer> {
    return this.#manager.wrap(this.#nameOf(key), () => run(key), HOUR_MS);
  }

  getOrSetMany(keys: readonly number[], load: Load): Promise<readonly Answer[]> {
    return Promise.all(keys.map((key) => this.getOrSet(key, load)));
  }

  set(key: number, book: Book): Promise<unknown> {
    return this.#manager.set(this.#nameOf(key), book, HOUR_MS);
  }

  remove(keys: readonly number[]): Promise<unknown> {
    return this.#manager.mdel(keys.map((key) => this.#nameOf(key)));
  }

  invalidateTagged(key?: number): Promise<unknown> {
    return this.remove(key === undefined ? [...this.#keys].filter((each) => tagsOf(each).length > 0) : [key]);
  }

  removeBelow(key?: number): Promise<unknown> {
    return key === undefined ? this.flush() : this.remove([key]);
  }

  flush(): Promise<unknown> {
    return this.#manager.clear();
  }

  expire(): Promise<void> {
    return Promise.resolve();
  }

  load(key: string, loader: () => Promise<string>): Promise<string> {
    return this.#manager.wrap(key, loader, HOUR_MS);
  }

  figures(): Figures {
    return NO_FIGURES;
  }

  async close(): Promise<void> {
    await this.#manager.disconnect();
  }

  #nameOf(key: number): string {
    if (key >= 0) this.#keys.add(key);
    return name(key);
  }
}
