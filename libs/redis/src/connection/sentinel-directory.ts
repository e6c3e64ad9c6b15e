/**
 * What the sentinels know. All are asked at once and the answer of the highest configuration epoch counts: a
 * sentinel that has not heard of the failover yet still names the old primary, and is often the first to
 * answer.
 */
import { Redis } from './driver.js';
import { safeMessage, sleep, withDeadline } from '../core/index.js';
import { fullJitter } from '../resilience/index.js';
import type { Address, ResolvedConnection, ResolvedSentinel } from './connection.options.js';
import { commandProfile, formatAddress } from './driver-options.js';

interface Sighting {
  readonly epoch: number;
  readonly address: Address;
}

/** An answer that comes later than this is not waited for. */
const ANSWER_MS = 300;
const RECONNECT = { baseMs: 50, maxMs: 1_000 };
/** What sentinels announce when roles change or nodes come and go. */
const CHANNELS = ['+switch-master', '+promoted-slave', '+slave', '+sdown', '-sdown', '+reboot'];

export class SentinelDirectory {
  readonly #connection: ResolvedConnection;
  readonly #sentinel: ResolvedSentinel;
  readonly #onChange: (reason: string) => void;
  readonly #watchers = new Map<string, Redis>();
  readonly #stop = new AbortController();
  #lastError = 'no sentinel has answered yet';

  constructor(connection: ResolvedConnection, onChange: (reason: string) => void) {
    if (connection.sentinel === undefined) throw new RangeError('a sentinel connection needs `sentinel`');
    this.#connection = connection;
    this.#sentinel = connection.sentinel;
    this.#onChange = onChange;
  }

  start(): void {
    for (const address of this.#connection.addresses) this.#watch(address);
  }

  stop(): void {
    this.#stop.abort(new Error('the client was closed'));
    for (const watcher of this.#watchers.values()) discard(watcher);
    this.#watchers.clear();
  }

  /** The address of the present primary. */
  async primary(): Promise<Address> {
    const sightings = await this.#askAll(async (watcher): Promise<Sighting> => {
      // While a failover ends its leader counts the new epoch already and lists the old address still: only the
      // second question names the new one. In this order, so that an address is never older than its epoch.
      const [fields, named] = await Promise.all([
        watcher.call('SENTINEL', 'MASTER', this.#sentinel.name).then(toFields),
        watcher.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#sentinel.name),
      ]);
      const [ip, port] = Array.isArray(named) ? named.map(String) : [];
      return {
        epoch: Number(fields.get('config-epoch') ?? 0),
        address: ip === undefined ? addressOf(fields) : { host: ip, port: Number(port) },
      };
    });
    const [best] = sightings.toSorted((a, b) => b.epoch - a.epoch);
    if (best !== undefined) return best.address;
    throw new Error(`no sentinel knows '${this.#sentinel.name}': ${this.#lastError}`);
  }

  /** Replicas that at least one sentinel holds for alive. */
  async replicas(): Promise<readonly Address[]> {
    const lists = await this.#askAll(async (watcher) => {
      const reply: unknown = await watcher.call('SENTINEL', 'REPLICAS', this.#sentinel.name);
      return Array.isArray(reply) ? reply.map(toFields) : [];
    });
    const alive = new Map<string, Address>();
    for (const fields of lists.flat()) {
      if (/s_down|o_down|disconnected/u.test(fields.get('flags') ?? '')) continue;
      const address = addressOf(fields);
      alive.set(formatAddress(address), address);
    }
    return [...alive.values()];
  }

  async #askAll<T>(ask: (watcher: Redis) => Promise<T>): Promise<readonly T[]> {
    await this.#someWatcherReady();
    const answers = await Promise.allSettled(
      [...this.#watchers.values()]
        .filter((watcher) => watcher.status === 'ready')
        .map((watcher) => withDeadline(ask(watcher), { timeoutMs: ANSWER_MS, what: 'a sentinel' })),
    );
    const good: T[] = [];
    for (const answer of answers) {
      if (answer.status === 'fulfilled') good.push(answer.value);
      else this.#lastError = describe(answer.reason);
    }
    return good;
  }

  /** At the start the first answer would otherwise always be "none connected". */
  async #someWatcherReady(): Promise<void> {
    const giveUpAt = performance.now() + ANSWER_MS;
    while (performance.now() < giveUpAt) {
      if ([...this.#watchers.values()].some((watcher) => watcher.status === 'ready')) return;
      await sleep(5, { signal: this.#stop.signal, keepAlive: false });
    }
  }

  #watch(address: Address): void {
    const id = formatAddress(address);
    if (this.#watchers.has(id)) return;
    // The place is taken before the options are there, so that discovery can not open it twice.
    const placeholder = new Redis({ lazyConnect: true });
    this.#watchers.set(id, placeholder);
    void this.#openPatiently(address).then(
      (watcher) => {
        if (this.#stop.signal.aborted) discard(watcher);
        else this.#watchers.set(id, watcher);
      },
      () => undefined,
    );
  }

  /** The password may come from a vault that is away for a moment. Rejects when all of this is stopped. */
  async #openPatiently(address: Address): Promise<Redis> {
    const delay = fullJitter(RECONNECT, Math.random);
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#open(address);
      } catch (error) {
        this.#lastError = describe(error);
      }
      await sleep(delay(Math.min(failures, 10)), { signal: this.#stop.signal, keepAlive: false });
    }
  }

  async #open(address: Address): Promise<Redis> {
    const delay = fullJitter(RECONNECT, Math.random);
    const options = await commandProfile({
      address,
      username: this.#sentinel.username,
      password: this.#sentinel.password,
      tls: this.#sentinel.tls,
      db: 0,
      connectTimeoutMs: this.#connection.connectTimeoutMs,
      connectionName: `anbar:${this.#connection.name}:sentinel`,
    });
    // RESP3, because the connection that listens is asked questions too.
    const watcher = new Redis({
      ...options,
      protocol: 3,
      retryStrategy: (times) => delay(Math.min(times, 10)),
    });
    watcher.on('error', (error: unknown) => {
      this.#lastError = `${formatAddress(address)}: ${describe(error)}`;
    });
    watcher.on('ready', () => void this.#greet(watcher));
    watcher.on('message', (channel: string, text: string) => this.#heard(channel, text));
    watcher.connect().catch(() => undefined);
    return watcher;
  }

  /** Listens to the sentinel, learns of its colleagues, and takes it that something was missed meanwhile. */
  async #greet(watcher: Redis): Promise<void> {
    try {
      await watcher.subscribe(...CHANNELS);
      const colleagues: unknown = await watcher.call('SENTINEL', 'SENTINELS', this.#sentinel.name);
      for (const fields of Array.isArray(colleagues) ? colleagues.map(toFields) : []) {
        if (/disconnected|s_down/u.test(fields.get('flags') ?? '')) continue;
        this.#watch(addressOf(fields));
      }
    } catch (error) {
      this.#lastError = describe(error);
    }
  }

  #heard(channel: string, text: string): void {
    const words = text.split(' ');
    // `+switch-master <name> <old> <port> <new> <port>`; the others: `<type> <name> <ip> <port> @ <primary> ...`.
    const isOurs =
      channel === '+switch-master' ? words[0] === this.#sentinel.name : words.includes(this.#sentinel.name);
    if (isOurs) this.#onChange(channel);
  }
}

function toFields(reply: unknown): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(reply)) return fields;
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), String(reply[i + 1]));
  return fields;
}

function addressOf(fields: ReadonlyMap<string, string>): Address {
  return { host: fields.get('ip') ?? '', port: Number(fields.get('port')) };
}

function describe(error: unknown): string {
  return error instanceof Error ? safeMessage(error.message) : 'unknown';
}

function discard(redis: Redis): void {
  redis.removeAllListeners();
  redis.on('error', () => undefined);
  redis.options.retryStrategy = () => null;
  redis.disconnect();
}
