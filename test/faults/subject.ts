/** The two clients under test behind one face: ours as `createRedis` makes it, and ioredis with its defaults. */
import { createRequire } from 'node:module';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';

export type SubjectKind = 'ours' | 'stock' | 'stock+failoverDetector';

interface Login {
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly ca: string; readonly minVersion?: 'TLSv1.3' };
  /** Further options of ours for one row; the stock client has nothing that corresponds. */
  readonly ours?: Partial<RedisModuleOptions>;
}

export type Target = Login &
  (
    | { readonly kind: 'standalone'; readonly host: string; readonly port: number }
    | {
        readonly kind: 'sentinel';
        readonly name: string;
        readonly nodes: readonly { readonly host: string; readonly port: number }[];
      }
    | {
        readonly kind: 'cluster';
        readonly nodes: readonly { readonly host: string; readonly port: number }[];
      }
  );

export interface Subject {
  readonly kind: SubjectKind;
  /** Settles when the client can serve. */
  open(): Promise<void>;
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<unknown>;
  incr(key: string): Promise<unknown>;
  command(name: string, args: readonly string[], timeout?: `${number}s`): Promise<unknown>;
  /** Everything the client says about itself: its status, and the error events it emitted. */
  says(): readonly unknown[];
  close(): Promise<void>;
}

export function makeSubject(kind: SubjectKind, target: Target): Subject {
  return kind === 'ours' ? new OurSubject(target) : new StockSubject(kind, target);
}

class OurSubject implements Subject {
  readonly kind = 'ours';
  readonly #redis: Redis;
  readonly #statuses: unknown[] = [];

  constructor(target: Target) {
    this.#redis = createRedis(ourOptions(target), {});
  }

  open(): Promise<void> {
    return this.#redis.connect();
  }

  get(key: string): Promise<unknown> {
    return this.#redis.adapter.get(key);
  }

  set(key: string, value: unknown): Promise<unknown> {
    return this.#redis.adapter.set(key, value);
  }

  /** Once as the plain command and once as the script the adapter uses: neither may run twice. */
  incr(key: string): Promise<unknown> {
    return key.endsWith('5') ? this.#redis.adapter.incr(key) : this.#redis.adapter.command('INCR', [key]);
  }

  command(name: string, args: readonly string[], timeout?: `${number}s`): Promise<unknown> {
    return this.#redis.adapter.command(name, args, { timeout });
  }

  says(): readonly unknown[] {
    this.#statuses.push(this.#redis.adapter.status());
    return this.#statuses;
  }

  close(): Promise<void> {
    return this.#redis.disconnect();
  }
}

function ourOptions({ username, password, tls, ours, ...target }: Target): RedisModuleOptions {
  const login = { username, password, tls };
  const given = Object.fromEntries(Object.entries(login).filter(([, value]) => value !== undefined));
  switch (target.kind) {
    case 'standalone':
      return { host: target.host, port: target.port, ...given, ...ours };
    case 'sentinel':
      return { sentinel: { name: target.name, nodes: target.nodes }, ...given, ...ours };
    case 'cluster':
      return { cluster: { nodes: target.nodes }, ...given, ...ours };
  }
}

/** What is used of ioredis. */
interface StockClient {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  incr(key: string): Promise<number>;
  call(name: string, ...args: string[]): Promise<unknown>;
  on(event: string, listener: (detail: unknown) => void): void;
  disconnect(): void;
}

interface StockDriver {
  readonly Redis: new (options: object) => StockClient;
  readonly Cluster: new (nodes: readonly object[], options: object) => StockClient;
}

const libraryRequire = createRequire(new URL('../../libs/redis/package.json', import.meta.url));

/** The very copy the library brings, for a comparison of like with like; tests have no dependency on it. */
const driver = libraryRequire('ioredis') as StockDriver;

export const stockVersion = (libraryRequire('ioredis/package.json') as { version: string }).version;

class StockSubject implements Subject {
  readonly #client: StockClient;
  readonly #events: unknown[] = [];

  constructor(
    readonly kind: SubjectKind,
    target: Target,
  ) {
    this.#client = stockClient(target, kind === 'stock+failoverDetector');
    this.#client.on('error', (error) => this.#events.push(error));
  }

  open(): Promise<void> {
    return new Promise((resolve) => this.#client.on('ready', () => resolve()));
  }

  async get(key: string): Promise<unknown> {
    const text = await this.#client.get(key);
    if (typeof text !== 'string') return text ?? undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }

  set(key: string, value: unknown): Promise<unknown> {
    return this.#client.set(key, JSON.stringify(value));
  }

  incr(key: string): Promise<unknown> {
    return this.#client.incr(key);
  }

  command(name: string, args: readonly string[]): Promise<unknown> {
    return this.#client.call(name, ...args);
  }

  says(): readonly unknown[] {
    return this.#events;
  }

  async close(): Promise<void> {
    this.#client.disconnect();
    await Promise.resolve();
  }
}

function stockClient({ username, password, tls, ...target }: Target, failoverDetector: boolean): StockClient {
  const login = Object.fromEntries(
    Object.entries({ username, password, tls }).filter(([, value]) => value !== undefined),
  );
  switch (target.kind) {
    case 'standalone':
      return new driver.Redis({ host: target.host, port: target.port, ...login });
    case 'sentinel':
      return new driver.Redis({
        name: target.name,
        sentinels: target.nodes,
        ...login,
        ...(failoverDetector ? { failoverDetector } : {}),
      });
    case 'cluster':
      return new driver.Cluster(target.nodes, { redisOptions: login });
  }
}
