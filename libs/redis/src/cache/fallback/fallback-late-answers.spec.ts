/** What is late: answers of Redis when others have given it up, or when their key was read meanwhile; and the codec. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { openFallback } from '../../../testing/scenes/fallback-scene.js';
import {
  NotConnectedError,
  PassingClient,
  type Arg,
  type CallOptions,
  type Reply,
  type ScanOptions,
  type Script,
} from '../../connection/index.js';
import { CacheKeys } from '../cache.keys.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import { EpochTable } from '../l1/l1-epochs.js';
import { FallbackCache } from './fallback-cache.js';

/** A call waits before Redis hears of it, or Redis has done it and its answer waits. */
type Stop = 'question' | 'answer';

interface Hold {
  readonly at: Stop;
  readonly over: Promise<void>;
}

/** Holds calls by name, and can be away for those who ask whether it is there. */
class SlowClient extends PassingClient {
  readonly #holds = new Map<string, Hold>();
  #isAway = false;

  /** From here on calls of that name wait; what it gives lets them go. */
  hold(name: string, at: Stop): () => void {
    let release: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (release = resolve));
    this.#holds.set(name, { at, over });
    return release;
  }

  /** Nothing more is held, but what waits already; and reads of `other` fail, and so do those of the switch. */
  lose(): void {
    this.#holds.clear();
    this.#isAway = true;
  }

  comeBack(): void {
    this.#isAway = false;
  }

  override command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    if (this.#isAway && name === 'GET' && /:clock$|\{other\}/u.test(String(args[0]))) {
      return Promise.reject(new NotConnectedError('the server is away'));
    }
    return this.#late(name, () => super.command<R>(name, args, options));
  }

  override run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    return this.#late(script.name, () => super.run(script, keys, args, options));
  }

  override async *scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    await this.#holds.get('SCAN')?.over;
    yield* super.scan(options);
  }

  async #late<T>(name: string, go: () => Promise<T>): Promise<T> {
    const hold = this.#holds.get(name);
    if (hold?.at === 'question') await hold.over;
    const answer = await go();
    if (hold?.at === 'answer') await hold.over;
    return answer;
  }
}

interface Scene {
  readonly cache: FallbackCache;
  readonly client: SlowClient;
  /** What stands in Redis, by somebody else's eyes. */
  readonly other: CacheService;
  /** Another call finds out that Redis is away. */
  readonly lose: () => Promise<void>;
  readonly back: () => Promise<void>;
}

function open(options: CacheOptions = {}): Scene {
  const { cache, client, other } = openFallback((inner) => new SlowClient(inner), options);
  onTestFinished(() => cache.disconnect({ drain: '50ms' }));
  return {
    cache,
    client,
    other,
    async lose() {
      client.lose();
      await cache.get('other');
      expect(cache.state.mode).toBe('fallback');
    },
    async back() {
      client.comeBack();
      await expect.poll(() => cache.state.mode, { interval: 5, timeout: 5_000 }).toBe('redis');
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A timer counts from the beginning of the turn, which may have been a while ago. */
async function atLeast(ms: number): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() <= end) await pause(1);
}

/** The value, both fields of the hash, and the counter. */
function readAll(cache: CacheService | FallbackCache): Promise<readonly unknown[]> {
  return Promise.all([cache.get('k'), cache.hget('h', 'f'), cache.hget('h', 'g'), cache.get('n')]);
}

interface LateChange {
  readonly what: string;
  /** The call of it that is late. */
  readonly name: string;
  readonly change: (cache: FallbackCache) => Promise<unknown>;
  readonly seen: readonly unknown[];
}

const LATE_CHANGES: readonly LateChange[] = [
  {
    what: 'set',
    name: 'cache.put',
    change: (cache) => cache.set('k', 'new'),
    seen: ['new', 'old', 'old', 5],
  },
  {
    what: 'delete',
    name: 'cache.remove',
    change: (cache) => cache.delete('k'),
    seen: [undefined, 'old', 'old', 5],
  },
  {
    what: 'invalidateTags, before its last step',
    name: 'cache.tick',
    change: (cache) => cache.invalidateTags('t'),
    seen: [undefined, 'old', 'old', 5],
  },
  {
    what: 'deletePrefix, before its last step',
    name: 'SCAN',
    change: (cache) => cache.deletePrefix('h'),
    seen: ['old', undefined, undefined, 5],
  },
  {
    what: 'flush, before its last step',
    name: 'cache.tick',
    change: (cache) => cache.flush(),
    seen: [undefined, undefined, undefined, undefined],
  },
  {
    what: 'expire of a value',
    name: 'cache.swap',
    change: (cache) => cache.expire('k', '1ms'),
    seen: [undefined, 'old', 'old', 5],
  },
  {
    what: 'expire of a hash',
    name: 'PEXPIRE',
    change: (cache) => cache.expire('h', '1ms'),
    seen: ['old', undefined, undefined, 5],
  },
  {
    what: 'hset',
    name: 'cache.hash-put',
    change: (cache) => cache.hset('h', 'f', 'new'),
    seen: ['old', 'new', 'old', 5],
  },
  {
    what: 'incr',
    name: 'adapter.increment',
    change: (cache) => cache.incr('n', 2),
    seen: ['old', 'old', 'old', 7],
  },
  {
    what: 'incr without an end',
    name: 'INCRBY',
    change: (cache) => cache.incr('n', 2, 'never'),
    seen: ['old', 'old', 'old', 7],
  },
];

describe.each(['question', 'answer'] as const)(
  'a change whose %s was late is done by Redis, which others have given up by then',
  (stop) => {
    it.each(LATE_CHANGES)('$what counts here at once, and is not told again', async (late) => {
      const { cache, client, other, lose, back } = open();
      await cache.set('k', 'old', { tags: ['t'] });
      await cache.hset('h', { f: 'old', g: 'old' });
      await cache.incr('n', 5);
      await readAll(cache);
      const release = client.hold(late.name, stop);
      const changing = late.change(cache);
      await pause(1);
      await lose();
      release();
      await changing;
      await atLeast(5);
      expect(await readAll(cache)).toEqual(late.seen);
      expect(cache.state).toMatchObject({ mode: 'fallback', journal: 0, uncertainIncrements: 0 });
      await back();
      expect([await readAll(cache), await readAll(other)]).toEqual([late.seen, late.seen]);
    });
  },
);

describe('an increment that Redis has done after others have given it up', () => {
  it('is what the counter goes on from, whatever was known here', async () => {
    const { cache, client, other, lose, back } = open();
    await other.incr('n', 40);
    const release = client.hold('adapter.increment', 'answer');
    const counting = cache.incr('n', 2);
    await lose();
    release();
    expect([await counting, await cache.get('n'), await cache.incr('n')]).toEqual([42, 42, 43]);
    await back();
    expect(await other.get('n')).toBe(43);
  });

  it('is added to what was counted here meanwhile', async () => {
    const { cache, client, other, lose, back } = open();
    await cache.incr('n', 5);
    const release = client.hold('adapter.increment', 'answer');
    const counting = cache.incr('n', 2);
    await lose();
    expect(await cache.incr('n')).toBe(6);
    release();
    expect([await counting, await cache.get('n')]).toEqual([7, 8]);
    await back();
    expect(await other.get('n')).toBe(8);
  });

  it('is no error where the copy can not be counted on: it goes', async () => {
    const { cache, client, other, lose, back } = open();
    await cache.set('n', 'text');
    await other.delete('n');
    const release = client.hold('adapter.increment', 'answer');
    const counting = cache.incr('n', 2);
    await lose();
    release();
    expect([await counting, await cache.get('n')]).toEqual([2, undefined]);
    await back();
    expect(await other.get('n')).toBe(2);
  });
});

describe('what is read while its key is being changed', () => {
  const read = (cache: FallbackCache): Promise<unknown> =>
    Promise.all([cache.get('k'), cache.hget('h', 'f')]);

  it.each([
    { name: 'cache.remove', change: (cache: FallbackCache) => cache.delete('k'), seen: [undefined, 'old'] },
    { name: 'cache.put', change: (cache: FallbackCache) => cache.set('k', 'new'), seen: ['new', 'old'] },
    {
      name: 'cache.hash-put',
      change: (cache: FallbackCache) => cache.hset('h', 'f', 'new'),
      seen: ['old', 'new'],
    },
  ])('leaves no copy, told of before the change or after it: $name', async ({ name, change, seen }) => {
    for (const isToldLater of [false, true]) {
      const { cache, client, lose } = open();
      await cache.set('k', 'old');
      await cache.hset('h', 'f', 'old');
      const releaseChange = client.hold(name, 'question');
      const changing = change(cache);
      const releases = isToldLater ? ['GET', 'HGET'].map((each) => client.hold(each, 'answer')) : [];
      await pause(1);
      const reading = read(cache);
      await (isToldLater ? pause(1) : reading);
      releaseChange();
      await changing;
      for (const release of releases) release();
      expect(await reading).toEqual(['old', 'old']);
      await lose();
      expect(await read(cache)).toEqual(seen);
    }
  });
});

it('fields that were written while a key with the same place was removed are not there as they were', async () => {
  const { cache, client, lose } = open();
  await cache.hset('h', 'f', 'old');
  const release = client.hold('cache.hash-put', 'answer');
  const writing = cache.hset('h', 'f', 'new');
  await pause(1);
  await cache.delete(neighbourOf('h'));
  release();
  await writing;
  await lose();
  expect(await cache.hget('h', 'f')).not.toBe('old');
});

it('a field that is still being compressed when Redis is told is told afterwards, and not as it was', async () => {
  const { cache, other, lose, back } = open({ codec: { compression: { algorithm: 'gzip' } } });
  // So long that threads compress it, which takes longer than to tell an embedded Redis everything.
  const long = Array.from({ length: 100_000 }, (_, i) => i).join();
  await cache.hset('h', 'f', 'old');
  await lose();
  // Changes wait while a journal is told that is short; one with a prefix never is.
  await cache.deletePrefix('none');
  let writing: Promise<number> | undefined;
  cache.onStateChange(({ to }) => void (to === 'recovering' && (writing ??= cache.hset('h', 'f', long))));
  await back();
  await writing;
  expect(await other.hget('h', 'f')).toBe(long);
});

/** Another key that shares its place in the table of what was changed. */
function neighbourOf(key: string): string {
  const keys = new CacheKeys('app', 'default');
  const table = new EpochTable();
  const before = table.now();
  table.invalidate(keys.value(key));
  for (let i = 0; ; i += 1) if (!table.unchangedSince(before, keys.value(`k${i}`))) return `k${i}`;
}
