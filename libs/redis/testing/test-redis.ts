/** What a test holds in its hand: the time of the module, and the switches that make its Redis fail. */
import type { ResolvedConnection, RedisClient } from '../src/connection/index.js';
import { parseDuration, type Duration } from '../src/core/index.js';
import type { ToldOfTheEnd } from '../src/redis.module.js';
import type { RedisModuleOptions } from '../src/redis.options.js';
import type { Surroundings } from '../src/surroundings.js';
import { createChaosClient, type ChaosClient } from './chaos-client.js';
import { faultOf, type Fault } from './faults.js';
import { TestClock, type Pace } from './test-clock.js';

export interface RedisTestingOptions {
  /** What the module's clock shows at first, in milliseconds since 1970. @default the present */
  startsAt?: number | undefined;
}

export interface FaultOptions {
  /** This share of the calls fails, from 0 to 1; the others pass. @default 1 */
  share?: number | undefined;
}

/** The switches. Each takes the place of the one before, until `heal`. */
export interface RedisFaults {
  /** Calls fail at once, unexecuted: by the name of a fault, or with an error of the test's own. */
  fail(fault: Fault | Error, options?: FaultOptions): void;
  /** Calls take that long, by the module's clock; who does not wait so long gets a timeout. */
  latency(duration: Duration): void;
  /** Nothing gets through: calls run into their deadline, listeners hear nothing. */
  partition(): void;
  /** All is well again; whoever listens is told of the gap. */
  heal(): void;
}

type Weather = (client: ChaosClient) => void;

interface Placed {
  readonly name: string;
  readonly client: ChaosClient;
}

/**
 * ```ts
 * const redis = app.get(TestRedis);
 * await redis.clock.advance('5m');
 * redis.fail('timeout');
 * ```
 */
export class TestRedis implements RedisFaults {
  readonly clock: TestClock;
  readonly #placed: Placed[];
  #weather: Weather = () => undefined;

  /** @internal */
  constructor(clock: TestClock, placed: Placed[]) {
    this.clock = clock;
    this.#placed = placed;
  }

  fail(fault: Fault | Error, options?: FaultOptions): void {
    this.#set(this.#placed, failing(fault, options));
  }

  latency(duration: Duration): void {
    this.#set(this.#placed, slow(duration));
  }

  partition(): void {
    this.#set(this.#placed, PARTITIONED);
  }

  heal(): void {
    this.#set(this.#placed, HEALED);
  }

  /** The switches of one connection, or of one shard, by its name. */
  only(name: string): RedisFaults {
    const places = this.#placed.filter((place) => place.name === name);
    if (places.length === 0) {
      const known = [...new Set(this.#placed.map((place) => place.name))].join(', ');
      throw new RangeError(`only: there is no connection '${name}', only: ${known || 'none yet'}`);
    }
    return {
      fail: (fault, options) => this.#set(places, failing(fault, options)),
      latency: (duration) => this.#set(places, slow(duration)),
      partition: () => this.#set(places, PARTITIONED),
      heal: () => this.#set(places, HEALED),
    };
  }

  /** @internal what a connection made later meets */
  meet(client: ChaosClient): void {
    this.#weather(client);
  }

  #set(places: readonly Placed[], weather: Weather): void {
    if (places === this.#placed) this.#weather = weather;
    for (const { client } of places) weather(client);
  }
}

const PARTITIONED: Weather = (client) => client.partition();
const HEALED: Weather = (client) => client.heal();

function failing(fault: Fault | Error, { share = 1 }: FaultOptions = {}): Weather {
  const error = faultOf(fault);
  return (client) => client.fail(error, share);
}

function slow(duration: Duration): Weather {
  const ms = parseDuration(duration, 'latency');
  return (client) => client.latency(ms);
}

/** While tasks end, which may really be at work: they get a second for ten of their `drain`. */
const ENDING: Pace = { stepMs: 10, steps: 6_000 };

/** Stands in for the world: an embedded server for every real one, the test's clock, and faults on demand. */
export class TestWorld implements Surroundings, ToldOfTheEnd {
  readonly clock: TestClock;
  readonly redis: TestRedis;
  readonly #placed: Placed[] = [];
  readonly #inner: RedisClient[] = [];
  #hasEnded = false;

  constructor({ startsAt = Date.now() }: RedisTestingOptions = {}) {
    this.clock = new TestClock(startsAt);
    this.redis = new TestRedis(this.clock, this.#placed);
  }

  readonly wrap = (inner: RedisClient, { name, timeoutMs }: ResolvedConnection): RedisClient => {
    const client = createChaosClient(inner, { clock: this.clock.goingOn, timeoutMs });
    this.#inner.push(inner);
    this.#placed.push({ name, client });
    this.redis.meet(client);
    return client;
  };

  /**
   * The options of the application, with every address taken out. Health is asked for anew each time: an answer that is
   * given again for a second would be given for as long as the clock stands still.
   */
  readonly replaceOptions = (options: RedisModuleOptions): RedisModuleOptions => {
    const { connections, shards, health } = options;
    return {
      ...embedded(options),
      health: { cacheFor: 0, ...health },
      ...(connections && { connections: mapped(connections, embedded) }),
      ...(shards && { shards: mapped(shards, embedded) }),
    };
  };

  /** Workers wait for tasks under way before anything else ends. */
  ending(): void {
    // Who closes twice waits twice.
    this.#hasEnded = false;
    this.clock.goOnUntil(() => this.#hasEnded, ENDING);
  }

  /** Nest calls it on whatever is provided, once nothing is under way, and before the connections are closed. */
  beforeApplicationShutdown(): void {
    this.#hasEnded = true;
    this.clock.goOnUntil(() =>
      this.#inner.every((client) => client.status().nodes.every(({ state }) => state === 'closed')),
    );
  }
}

const ADDRESSES = [
  'url',
  'host',
  'port',
  'username',
  'password',
  'db',
  'tls',
  'cluster',
  'sentinel',
  'readFrom',
] as const;

function embedded<Options extends RedisModuleOptions>(options: Options): Options {
  const kept = Object.entries(options).filter(([name]) => !(ADDRESSES as readonly string[]).includes(name));
  return { ...Object.fromEntries(kept), topology: 'embedded' } as Options;
}

function mapped<Value>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Value,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
