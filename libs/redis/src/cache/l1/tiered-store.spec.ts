import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import type { TrackOptions, TrackingState } from '../../connection/index.js';
import { NearCache, type NearCacheOptions } from './l1-near-cache.js';
import { L1Tracking } from './l1-tracking.js';
import { resolveL1 } from './l1.options.js';
import { COUNTER_CLOCK, type CacheEntry, type Found, type Store } from '../store.js';
import type { TagClocks } from '../tag-clocks.js';
import { TrackedTags } from './tracked-tags.js';

const PREFIX = 'n:v1:cache:';
const KEY = `${PREFIX}k`;
const TAG = 'n:v1:tag:{a}';

/** A client of which only tracking is wanted, and the other end of it. */
class TrackedByHand {
  options: TrackOptions | undefined;
  closed = 0;
  #state: TrackingState = 'lost';

  /** What is taken for a client. */
  readonly client = {
    track: (options: TrackOptions) => {
      this.options = options;
      const stateNow = (): TrackingState => this.#state;
      return {
        get state() {
          return stateNow();
        },
        reason: 'by hand',
        close: () => {
          this.closed += 1;
          return Promise.resolve();
        },
      };
    },
  } as unknown as NearCacheOptions['client'];

  become(state: TrackingState): void {
    this.#state = state;
    this.options?.onState(state, 'by hand');
  }

  tell(keys: readonly string[] | 'all'): void {
    this.options?.onInvalidate(keys);
  }
}

/** A store whose answers come when the test says so. */
class StoreByHand {
  lies: CacheEntry | undefined;
  asked = 0;
  readonly #waiting: (() => void)[] = [];
  /** What it answers is what lies there when it is asked; the answer arrives later. */
  held = false;

  readonly store = {
    get: (): Promise<Found | undefined> => {
      this.asked += 1;
      const answer: Found | undefined =
        this.lies === undefined ? undefined : { entry: this.lies, tier: 'l2', bytes: 10 };
      if (!this.held) return Promise.resolve(answer);
      return new Promise((resolve) => this.#waiting.push(() => resolve(answer)));
    },
    set: (_key: string, entry: CacheEntry) => {
      this.lies = entry;
      return Promise.resolve();
    },
    remove: () => {
      this.lies = undefined;
      return Promise.resolve(1);
    },
    fill: (_key: string, entry: CacheEntry) => {
      this.lies = entry;
      return Promise.resolve(true);
    },
    update: (_key: string, change: (entry: CacheEntry) => CacheEntry) => {
      if (this.lies !== undefined) this.lies = change(this.lies);
      return Promise.resolve(true);
    },
  } as unknown as Store;

  deliver(): void {
    for (const deliver of this.#waiting.splice(0)) deliver();
  }
}

function entryOf(value: unknown, expiresAt?: number): CacheEntry {
  const times = { createdAt: 0, softExpiresAt: undefined, expiresAt };
  return { value, ...times, clock: 1, loadMs: 0, negative: false, tags: [] };
}

const NO_CLOCKS: TagClocks = { read: () => [] };

function open() {
  const clock = new FakeClock();
  const redis = new TrackedByHand();
  const inner = new StoreByHand();
  const l1 = resolveL1();
  if (l1 === false) throw new Error('it is on');
  const near = new NearCache({ client: redis.client, l1, clock });
  const keys = { tracked: { values: PREFIX, clocks: 'n:v1:tag:' } };
  const { store: tiered } = near.tiers({ keys, store: inner.store, clocks: NO_CLOCKS });
  near.start();
  redis.become('tracking');
  return { clock, redis, inner, near, tiered };
}

const valueOf = async (found: ReturnType<Store['get']>): Promise<unknown> => (await found)?.entry.value;

describe('reading', () => {
  it('asks below once, then answers at once from memory', async () => {
    const { inner, near, tiered } = open();
    inner.lies = entryOf('a');
    expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
    expect(tiered.get(KEY)).toMatchObject({ tier: 'l1', entry: { value: 'a' } });
    expect(inner.asked).toBe(1);
    expect(near.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1, state: 'tracking' });
  });

  it('a miss is not held', async () => {
    const { inner, tiered } = open();
    expect(await tiered.get(KEY)).toBeUndefined();
    inner.lies = entryOf('a');
    expect(await valueOf(tiered.get(KEY))).toBe('a');
  });

  it('holds an entry no longer than it lasts in Redis', async () => {
    const { clock, inner, tiered } = open();
    inner.lies = entryOf('a', clock.wallNow() + 1_000);
    await tiered.get(KEY);
    clock.advance(999);
    expect(tiered.get(KEY)).toMatchObject({ tier: 'l1' });
    clock.advance(1);
    expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
  });

  it('does not hold counters, which change past the store', async () => {
    const { inner, tiered } = open();
    inner.lies = { ...entryOf(1), clock: COUNTER_CLOCK };
    await tiered.get(KEY);
    expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
  });

  it('takes an answer that is at hand below', () => {
    const { inner, tiered } = open();
    const found: Found = { entry: entryOf('now'), tier: 'l2' };
    inner.store.get = () => found;
    expect(tiered.get(KEY)).toBe(found);
    expect(tiered.get(KEY)).toMatchObject({ tier: 'l1' });
  });
});

describe('the beginning', () => {
  it('is the first read, which passes through', async () => {
    const redis = new TrackedByHand();
    const inner = new StoreByHand();
    inner.lies = entryOf('a');
    const l1 = resolveL1();
    if (l1 === false) throw new Error('it is on');
    const near = new NearCache({ client: redis.client, l1 });
    const keys = { tracked: { values: PREFIX, clocks: 'n:v1:tag:' } };
    const { store } = near.tiers({ keys, store: inner.store, clocks: NO_CLOCKS });
    expect(near.stats()).toMatchObject({ state: 'lost', reason: 'not started' });
    expect(redis.options).toBeUndefined();
    expect(await store.get(KEY)).toMatchObject({ tier: 'l2' });
    expect(redis.options?.prefixes).toEqual([PREFIX, 'n:v1:tag:']);
    expect(near.stats()).toMatchObject({ state: 'lost', interruptions: 0 });
  });
});

describe('an invalidation while the answer is on its way', () => {
  it.each<[string, (parts: ReturnType<typeof open>) => unknown]>([
    ['of the key', ({ redis }) => redis.tell([`${PREFIX}other`, KEY])],
    ['of everything', ({ redis }) => redis.tell('all')],
    ['unheard, the tracking being lost', ({ redis }) => redis.become('lost')],
    [
      'unheard, the tracking being lost and back',
      ({ redis }) => {
        redis.become('lost');
        redis.become('tracking');
      },
    ],
    ['by a write of this process', ({ tiered }) => tiered.set(KEY, entryOf('new'))],
    ['by a removal of this process', ({ tiered }) => tiered.remove([KEY])],
    ['by a fill of this process', ({ tiered }) => tiered.fill(KEY, entryOf('new'), 'token')],
    ['by an update of this process', ({ tiered }) => tiered.update(KEY, () => entryOf('new'))],
  ])('%s keeps the answer out', async (_name, invalidate) => {
    const parts = open();
    const { redis, inner, near, tiered } = parts;
    inner.lies = entryOf('old');
    inner.held = true;
    const reading = tiered.get(KEY);
    await invalidate(parts);
    inner.deliver();
    expect(await valueOf(reading)).toBe('old');
    // Becoming what it is would empty the memory and hide a value that got in.
    if (near.stats().state !== 'tracking') redis.become('tracking');
    inner.held = false;
    inner.lies = entryOf('newer');
    expect(await valueOf(tiered.get(KEY))).toBe('newer');
  });

  it('of another key does not', async () => {
    const { redis, inner, tiered } = open();
    inner.lies = entryOf('a');
    inner.held = true;
    const reading = tiered.get(KEY);
    redis.tell([`${PREFIX}other`, 'elsewhere:k']);
    inner.deliver();
    await reading;
    expect(tiered.get(KEY)).toMatchObject({ tier: 'l1' });
  });
});

describe('while changes can not be followed', () => {
  it.each<TrackingState>(['lost', 'refused'])(
    '%s: everything passes through, nothing is held',
    async (state) => {
      const { redis, inner, near, tiered } = open();
      inner.lies = entryOf('old');
      await tiered.get(KEY);
      redis.become(state);
      expect(near.stats()).toMatchObject({ entries: 0, interruptions: 1 });
      inner.lies = entryOf('new');
      expect(await valueOf(tiered.get(KEY))).toBe('new');
      expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
      redis.become('tracking');
      expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
      expect(tiered.get(KEY)).toMatchObject({ tier: 'l1' });
    },
  );

  it('a near cache that was closed holds nothing, whatever it is told', async () => {
    const { redis, inner, near, tiered } = open();
    inner.lies = entryOf('a');
    await tiered.get(KEY);
    await near.close();
    expect(redis.closed).toBe(1);
    redis.become('tracking');
    expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
    expect(await tiered.get(KEY)).toMatchObject({ tier: 'l2' });
    expect(near.stats().entries).toBe(0);
  });

  it('nobody follows beyond the prefixes that are tracked', () => {
    const tracking = new L1Tracking(new TrackedByHand().client, { prefixes: [PREFIX] });
    const nothing = (): undefined => undefined;
    const follower = { prefix: 'm:', invalidate: nothing, invalidateAll: nothing, doubt: nothing };
    expect(() => tracking.follow(follower)).toThrow("'m:' is not below");
  });

  it('caches of one namespace share the memory and its bounds', async () => {
    const { redis, inner, near, tiered } = open();
    const keys = { tracked: { values: PREFIX, clocks: 'n:v1:tag:' } };
    const { store: second } = near.tiers({ keys, store: inner.store, clocks: NO_CLOCKS });
    inner.lies = entryOf('a');
    await tiered.get(KEY);
    await second.get(`${PREFIX}other`);
    expect(near.stats().entries).toBe(2);
    redis.tell([KEY]);
    expect(near.stats().entries).toBe(1);
  });
});

describe('writing', () => {
  it('a write that failed may have been done: its copy goes', async () => {
    const { inner, tiered } = open();
    inner.lies = entryOf('old');
    await tiered.get(KEY);
    inner.store.set = (_key, entry) => {
      inner.lies = entry;
      return Promise.reject(new Error('no answer in time'));
    };
    await expect(tiered.set(KEY, entryOf('new'))).rejects.toThrow('no answer');
    expect(await valueOf(tiered.get(KEY))).toBe('new');
  });

  it("a caller's own object is neither held nor frozen", async () => {
    const { near, tiered } = open();
    const mine = { list: [1] };
    await tiered.set(KEY, entryOf(mine));
    expect(Object.isFrozen(mine)).toBe(false);
    expect(near.stats().entries).toBe(0);
  });
});

it('who is told that a load has just stored a value does not meet an older copy', async () => {
  const { inner, tiered } = open();
  inner.lies = entryOf('old');
  await tiered.get(KEY);
  inner.lies = entryOf('new');
  inner.store.acquire = () => Promise.resolve({ state: 'filled', token: 't' });
  expect(await valueOf(tiered.get(KEY))).toBe('old');
  await tiered.acquire(KEY, { token: 'mine', leaseMs: 1_000 });
  expect(await valueOf(tiered.get(KEY))).toBe('new');
});

describe('tag clocks', () => {
  function openTags(maxTags?: number) {
    const redis = new TrackedByHand();
    const tracking = new L1Tracking(redis.client, { prefixes: ['n:v1:tag:'] });
    const lying = new Map<string, number>();
    let asked = 0;
    let release: (() => void) | undefined;
    const inner: TagClocks = {
      read: (keys) => {
        asked += 1;
        const clocks = keys.map((key) => lying.get(key) ?? -1);
        if (release === undefined) return Promise.resolve(clocks);
        return new Promise((resolve) => (release = () => resolve(clocks)));
      },
    };
    const limit = maxTags === undefined ? {} : { maxTags };
    const tags = new TrackedTags({ tracking, prefix: 'n:v1:tag:', ...limit });
    tracking.start();
    redis.become('tracking');
    return {
      redis,
      lying,
      tags,
      clocks: tags.over(inner),
      asked: () => asked,
      hold: () => (release = () => undefined),
      deliver: () => release?.(),
    };
  }

  it('are asked for once, absent ones too, and then at hand', async () => {
    const { lying, clocks, asked } = openTags();
    lying.set(TAG, 4);
    expect(await clocks.read([TAG, 'n:v1:tag:{absent}'])).toEqual([4, -1]);
    expect(clocks.read([TAG, 'n:v1:tag:{absent}'])).toEqual([4, -1]);
    expect(clocks.read([])).toEqual([]);
    expect(asked()).toBe(1);
  });

  it('are asked for again when they move, and when this process moves them', async () => {
    const { redis, lying, clocks } = openTags();
    await clocks.read([TAG]);
    lying.set(TAG, 5);
    redis.tell([TAG]);
    expect(await clocks.read([TAG])).toEqual([5]);
    lying.set(TAG, 6);
    clocks.invalidate?.(TAG);
    expect(await clocks.read([TAG])).toEqual([6]);
  });

  it('that moved while they were on their way are not held', async () => {
    const { redis, lying, clocks, hold, deliver } = openTags();
    lying.set(TAG, 4);
    hold();
    const reading = clocks.read([TAG]);
    lying.set(TAG, 5);
    redis.tell([TAG]);
    deliver();
    expect(await reading).toEqual([4]);
    const again = clocks.read([TAG]);
    deliver();
    expect(await again).toEqual([5]);
  });

  it('are not held where Redis would announce them by another name', async () => {
    const { redis, lying, clocks } = openTags();
    const cut = 'n:v1:tag:{Vilnius \ud83d}';
    const announced = Buffer.from(cut).toString();
    lying.set(cut, 4);
    expect(await clocks.read([cut])).toEqual([4]);
    lying.set(cut, 5);
    redis.tell([announced]);
    expect(await clocks.read([cut])).toEqual([5]);
    expect(clocks.held?.(cut)).toBeUndefined();
  });

  it('are not held while nobody would tell of their changes', async () => {
    const { redis, tags, clocks, asked } = openTags();
    await clocks.read([TAG]);
    redis.become('lost');
    expect(tags.size).toBe(0);
    await clocks.read([TAG]);
    await clocks.read([TAG]);
    expect(asked()).toBe(3);
  });

  it('are bounded', async () => {
    const { tags, clocks } = openTags(2);
    for (const tag of ['{a}', '{b}', '{c}']) await clocks.read([`n:v1:tag:${tag}`]);
    expect(tags.size).toBe(2);
  });
});
