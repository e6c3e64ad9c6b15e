/** Moves of slots that something comes in the way of: a connection, a majority, a write, a wrong address. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  createClient,
  NotConnectedError,
  PassingClient,
  resolveConnection,
  type Arg,
  type CallOptions,
  type ClientEvents,
  type Reply,
  type ScanOptions,
  type Script,
} from '../../connection/index.js';
import { ShardedCache } from './sharded-cache.js';

/** A server of its own, of which calls can be held up or refused by name. */
class Server extends PassingClient {
  override readonly topology = 'standalone';
  readonly #held = new Map<string, Promise<void>>();
  readonly #refused = new Set<string>();
  readonly #onLost = new Set<(detail: ClientEvents['lost']) => void>();
  walks = 0;
  isClosed = false;

  constructor(id: string) {
    super(createClient(resolveConnection(id, { topology: 'embedded' }, [])));
  }

  /** From here on calls of that name wait; what it gives lets them go. */
  hold(name: string): () => void {
    let release: () => void = () => undefined;
    this.#held.set(name, new Promise<void>((resolve) => (release = resolve)));
    return () => {
      this.#held.delete(name);
      release();
    };
  }

  refuse(name: string): () => void {
    this.#refused.add(name);
    return () => void this.#refused.delete(name);
  }

  /** It is made anew at once; whether the same server answers is to be found out. */
  loseConnection(): void {
    for (const tell of this.#onLost) tell({ node: this.name, reason: 'reset' });
  }

  override async connect(options?: Parameters<PassingClient['connect']>[0]): Promise<void> {
    await this.#passing('CONNECT');
    await super.connect(options);
  }

  override disconnect(options?: Parameters<PassingClient['disconnect']>[0]): Promise<void> {
    this.isClosed = true;
    return super.disconnect(options);
  }

  override async command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    await this.#passing(name);
    return super.command<R>(name, args, options);
  }

  override async run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    await this.#passing(script.name);
    return super.run(script, keys, args, options);
  }

  override async *scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    this.walks += 1;
    await this.#passing('SCAN');
    yield* super.scan(options);
  }

  override on<E extends keyof ClientEvents>(
    event: E,
    listener: (detail: ClientEvents[E]) => void,
  ): () => void {
    if (event === 'lost') this.#onLost.add(listener as (detail: ClientEvents['lost']) => void);
    return super.on(event, listener);
  }

  async #passing(name: string): Promise<void> {
    if (this.#refused.has(name)) throw new NotConnectedError('it is away');
    await this.#held.get(name);
  }
}

type Fleet<Id extends string> = { cache: ShardedCache<unknown, Server>; servers: Record<Id, Server> };

async function open<Id extends string>(...ids: readonly Id[]): Promise<Fleet<Id>> {
  const servers = Object.fromEntries(ids.map((id) => [id, new Server(id)])) as Record<Id, Server>;
  const cache = new ShardedCache<unknown, Server>(
    {
      shards: Object.fromEntries(ids.map((id) => [id, { options: servers[id] }])),
      open: (_id, from) => {
        if (!('options' in from)) throw new Error('all of them are known here');
        return { client: from.options, address: '' };
      },
      namespace: 'app',
      lease: '400ms',
    },
    { jitter: 0, earlyRefresh: false },
  );
  onTestFinished(() => cache.disconnect());
  await cache.connect();
  return { cache, servers };
}

function keyOf(cache: ShardedCache<unknown, Server>, id: string): string {
  for (let i = 0; ; i += 1) if (cache.shardFor(`key:${i}`) === id) return `key:${i}`;
}

const reaching = (cache: ShardedCache<unknown, Server>, stage: string | undefined): Promise<unknown> =>
  vi.waitFor(() => expect(cache.status().move?.stage).toBe(stage), { timeout: 8_000, interval: 2 });

describe('while it is not known whether the old owner is still the same server', () => {
  async function movingCounter() {
    const { cache, servers } = await open('a', 'b');
    const key = keyOf(cache, 'a');
    for (const expected of [1, 2, 3]) expect(await cache.incr(key)).toBe(expected);
    const walkOn = servers.a.hold('SCAN');
    const draining = cache.drain('a');
    await reaching(cache, 'moving');
    const letAsk = servers.a.hold('PING');
    servers.a.loseConnection();
    return { cache, servers, key, draining, walkOn, letAsk };
  }

  it('no number that it has given is given again', async () => {
    const { cache, key, draining, walkOn, letAsk } = await movingCounter();
    await expect(cache.incr(key)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    letAsk();
    await vi.waitFor(async () => expect(await cache.incr(key)).toBe(4), { timeout: 5_000 });
    walkOn();
    await draining;
    expect(await cache.incr(key)).toBe(5);
  });

  it('the move does not end without what is still there', async () => {
    const { cache, servers, key, draining, walkOn, letAsk } = await movingCounter();
    walkOn();
    const again = vi.waitFor(() => expect(servers.a.walks).toBeGreaterThan(1), { timeout: 5_000 });
    await Promise.race([draining, again]);
    letAsk();
    await draining;
    expect(await cache.incr(key)).toBe(4);
  });
});

it('a move that was broken off by an outage goes on after it, and writes with it', async () => {
  const { cache, servers } = await open('a', 'b', 'c');
  const key = keyOf(cache, 'a');
  const healing: (() => void)[] = [];
  const stop = cache.onChange((event) => {
    if (event.name !== 'move' || event.stage !== 'handover') return;
    stop();
    healing.push(servers.b.refuse('shards.prepare'), servers.c.refuse('shards.prepare'));
  });
  await expect(cache.drain('a')).rejects.toMatchObject({ code: 'SHARD_QUORUM' });
  expect(cache.status().move?.stage).toBe('handover');
  expect(await cache.set(key, 'refused')).toBe(false);
  for (const heal of healing) heal();
  await reaching(cache, undefined);
  expect(await cache.set(key, 'stored')).toBe(true);
  expect(await cache.get(key)).toBe('stored');
});

it('what is written while a handover begins is stored when it was said to be', async () => {
  const { cache, servers } = await open('a', 'b');
  const key = keyOf(cache, 'a');
  const clearOn = servers.b.hold('SCAN');
  const draining = cache.drain('a');
  await reaching(cache, 'announced');
  const putOn = servers.a.hold('cache.put');
  const setting = cache.set(key, 'written');
  clearOn();
  await reaching(cache, 'handover');
  putOn();
  expect(await setting).toBe(true);
  await draining;
  expect(await cache.get(key)).toBe('written');
});

it('a shard that was looked for at a wrong address is let go, and found at the right one', async () => {
  const { cache } = await open('a');
  const [wrong, right] = [new Server('wrong'), new Server('right')];
  wrong.refuse('CONNECT');
  await expect(cache.addShard('d', { options: wrong })).rejects.toMatchObject({ code: 'SHARD_CHANGE' });
  expect(wrong.isClosed).toBe(true);
  expect(cache.status().shards['d']).toBeUndefined();
  await cache.addShard('d', { options: right });
  expect(cache.status().shards['d']).toMatchObject({ state: 'up', slots: 8_192 });
});

it('a listener that throws keeps no change from ending', async () => {
  const warned: string[] = [];
  const warnings = vi
    .spyOn(process, 'emitWarning')
    .mockImplementation((text) => void warned.push(String(text)));
  onTestFinished(() => warnings.mockRestore());
  const { cache } = await open('a', 'b');
  cache.onChange(() => {
    throw new Error('the board is broken');
  });
  await cache.drain('a');
  expect(cache.status().shards['a']).toMatchObject({ slots: 0 });
  expect(warned).toContain('a listener of shard changes threw: Error: the board is broken');
});

it('a change that is under way ends with the cache, not some leases later', async () => {
  const { cache, servers } = await open('a', 'b');
  servers.a.refuse('shards.members');
  const draining = cache.drain('b').catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closedAt = performance.now();
  await cache.disconnect();
  expect(await draining).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/u) as unknown });
  expect(performance.now() - closedAt).toBeLessThan(400);
});
