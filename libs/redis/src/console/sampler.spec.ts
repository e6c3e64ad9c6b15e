import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { telemetryChannel } from '../core/index.js';
import { StatsService, type CacheFigures, type OwnFigures } from '../monitoring/index.js';
import type { ConsoleSource, Happening } from './console.source.js';
import { ownFleetReport } from './fleet-report.js';
import { STEP_MS } from './history.js';
import { cachesView, seriesView } from './overview.js';
import { Sampler } from './sampler.js';

function figures(over: Partial<CacheFigures> = {}): CacheFigures {
  return {
    hitRate: 0,
    reads: 0,
    tiers: { l1: 0, l2: 0, fallback: 0 },
    stale: 0,
    negative: 0,
    misses: 0,
    loads: 0,
    loadFailures: 0,
    coalesced: 0,
    refusedFills: 0,
    unstorable: 0,
    writes: 0,
    failedWrites: 0,
    bypassed: 0,
    failures: 0,
    ...over,
  };
}

/** What a test changes between two steps. */
class Counted {
  readonly caches: Record<string, CacheFigures> = {};
  health: 'up' | 'degraded' | 'down' = 'up';
  breaker: 'closed' | 'half-open' | 'open' = 'closed';
  shards: OwnFigures['shards']['shards'] = {};
  denied = 0;
  serverFails = false;
  asked = 0;
  fails = false;
  tell: (happening: Happening) => void = () => undefined;

  own(): OwnFigures {
    if (this.fails) throw new Error('no figures');
    const caches = Object.entries(this.caches).map(([name, each]) => [name, { ...each, l1: null }] as const);
    return {
      namespace: 'app',
      caches: Object.fromEntries(caches),
      l1: null,
      fallback: {
        mode: 'redis',
        since: 0,
        reason: '',
        journal: 0,
        overflowed: false,
        uncertainIncrements: 0,
        caches: {},
      },
      connections: {
        default: {
          topology: 'standalone',
          health: this.health,
          since: 0,
          nodes: [
            {
              node: '10.0.0.1:6379',
              role: 'primary',
              state: 'ready',
              latencyMs: null,
              breaker: { reads: 'closed', writes: this.breaker },
              inFlight: 0,
              reason: null,
              since: 0,
            },
          ],
        },
      },
      shards: { current: true, epoch: null, move: null, shards: this.shards, caches: {} },
      limiter: {
        allowed: 0,
        denied: this.denied,
        shadowDenied: 0,
        bySource: {},
        allowedWithoutStore: 0,
        placesLost: 0,
      },
      locks: { held: 0, waiting: 0 },
      pubsub: { listeners: 0, published: 0, dropped: 0, unreadable: 0, gaps: 0 },
      sessions: {},
    };
  }
}

function open(): { sampler: Sampler; counted: Counted; clock: FakeClock } {
  const counted = new Counted();
  const clock = new FakeClock({ wallMs: Date.UTC(2026, 0, 1) + 1_234 });
  const never = (): Promise<never> => Promise.reject(new Error('not asked for here'));
  const stats = new StatsService({
    clock,
    source: {
      own: () => counted.own(),
      memory: never,
      tasks: never,
      server: () => {
        counted.asked += 1;
        const memory = {
          usedBytes: 4_096,
          maxBytes: 0,
          policy: 'noeviction',
          evictedKeys: 0,
          expiredKeys: 0,
        };
        return counted.serverFails ? never() : Promise.resolve(memory);
      },
    },
  });
  const source: ConsoleSource = {
    namespace: 'app',
    production: false,
    stats,
    fleet: { send: never, listen: () => () => undefined },
    onHappening(listener) {
      counted.tell = listener;
      return () => {
        counted.tell = () => undefined;
      };
    },
    explain: never,
    value: never,
    keys: never,
    shardOf: () => undefined,
    removal: () => undefined,
    config: () => [],
    versions: never,
  };
  const sampler = new Sampler(source, clock);
  onTestFinished(() => sampler.close());
  return { sampler, counted, clock };
}

describe('a step', () => {
  it('writes down what the counters gained, per second', () => {
    const { sampler, counted, clock } = open();
    counted.caches['books'] = figures({ reads: 100, misses: 100 });
    sampler.start();
    expect(sampler.history.latest('requests')).toBe(0);
    clock.advance(STEP_MS - 1_234);
    counted.caches['books'] = figures({
      reads: 150,
      misses: 110,
      tiers: { l1: 30, l2: 10, fallback: 0 },
      loads: 10,
    });
    counted.denied = 10;
    clock.advance(STEP_MS);
    const { history } = sampler;
    expect(history.latest('requests')).toBe(10);
    expect(history.latest('l1')).toBe(6);
    expect(history.latest('misses')).toBe(2);
    expect(history.latest('hitRate')).toBe(0.8);
    expect(history.latest('denied')).toBe(2);
    clock.advance(STEP_MS);
    expect(history.latest('requests')).toBe(0);
    expect(history.latest('hitRate')).toBeNull();
  });

  it('comes with the wall clock, so that processes count alike', () => {
    const { sampler, clock } = open();
    const seen: number[] = [];
    sampler.onStep(({ at }) => seen.push(at % STEP_MS));
    sampler.start();
    clock.advance(4 * STEP_MS);
    expect(seen).toEqual([1_234, 0, 0, 0, 0]);
    sampler.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('a cache that begins counts from its beginning, one that was made anew is not negative', () => {
    const { sampler, counted, clock } = open();
    sampler.start();
    counted.caches['books'] = figures({ reads: 50, misses: 50 });
    clock.advance(STEP_MS);
    expect(sampler.caches.sum('cache/books:requests', 10)).toBe(50);
    counted.caches['books'] = figures({ reads: 5, misses: 5 });
    clock.advance(STEP_MS);
    expect(sampler.caches.sum('cache/books:requests', 10)).toBe(50);
  });

  it('says what Redis is like, and that it is not known when it does not answer', async () => {
    const { sampler, counted, clock } = open();
    sampler.start();
    await Promise.resolve();
    expect(sampler.server).toMatchObject({ usedBytes: 4_096 });
    counted.health = 'down';
    counted.breaker = 'open';
    counted.serverFails = true;
    clock.advance(STEP_MS);
    expect([sampler.history.latest('up'), sampler.history.latest('breaker')]).toEqual([0, 2]);
    expect(sampler.history.latest('redisBytes')).toBe(4_096);
    clock.advance(2 * STEP_MS);
    await Promise.resolve();
    await Promise.resolve();
    expect(sampler.server).toBeUndefined();
    // On one step of three.
    expect(counted.asked).toBe(2);
  });

  type Seen = Pick<OwnFigures['shards']['shards'][string], 'state' | 'health'>;
  const serving: Seen = { state: 'up', health: 'up' };
  const lost: Seen = { state: 'up', health: 'down' };

  it.each<[string, Record<string, Seen>, number]>([
    ['all of them', { a: serving, b: serving }, 1],
    ['one of two', { a: serving, b: lost }, 0.5],
    ['one that the others go on without', { a: serving, b: { ...serving, state: 'out' } }, 0.5],
    ['none', { a: lost, b: { ...lost, state: 'out' } }, 0],
    ['none that is known', {}, 1],
  ])('counts shards by those that are there: %s', (_name, shards, up) => {
    const { sampler, counted, clock } = open();
    sampler.start();
    const rest = { weight: 1, address: '', slots: 1, figures: null };
    counted.shards = Object.fromEntries(
      Object.entries(shards).map(([id, seen]) => [id, { ...seen, ...rest }]),
    );
    clock.advance(STEP_MS);
    expect(sampler.history.latest('up')).toBe(up);
  });

  it('that fails is an event, and neither the last one nor the end of the application', () => {
    const { sampler, counted, clock } = open();
    sampler.start();
    counted.fails = true;
    clock.advance(2 * STEP_MS);
    counted.tell({ kind: 'breaker', subject: 'default', text: 'closed → open' });
    expect(sampler.activity.incidents(10)).toMatchObject([
      { kind: 'console', text: 'no figures' },
      { kind: 'breaker' },
      { kind: 'console', times: 2 },
    ]);
    counted.fails = false;
    const { last } = sampler.history;
    clock.advance(STEP_MS);
    expect(sampler.history.last).toBeGreaterThan(last);
  });

  it('what happens is told at once, and not with the next step', () => {
    const { sampler, counted, clock } = open();
    let told = 0;
    sampler.start();
    sampler.onStep(() => (told += 1));
    counted.breaker = 'open';
    counted.health = 'degraded';
    counted.tell({ kind: 'breaker', subject: 'default', text: 'closed → open' });
    counted.tell({ kind: 'breaker', subject: 'default', text: 'closed → open, and once more' });
    clock.advance(100);
    expect(told).toBe(1);
    // It is over before the next step, which is to show it all the same.
    counted.breaker = 'closed';
    counted.health = 'up';
    clock.advance(STEP_MS);
    expect([sampler.history.latest('breaker'), sampler.history.latest('up')]).toEqual([2, 0.5]);
    clock.advance(STEP_MS);
    expect([sampler.history.latest('breaker'), sampler.history.latest('up')]).toEqual([0, 1]);
    expect(sampler.activity.incidents(2)).toMatchObject([{ kind: 'breaker' }, { kind: 'breaker' }]);
  });
});

describe('caches', () => {
  it('come with the worst first, and the silent ones last', () => {
    const { sampler, counted, clock } = open();
    for (const name of ['silent', 'good', 'bad']) counted.caches[name] = figures();
    sampler.start();
    counted.caches['good'] = figures({ reads: 10, misses: 1, tiers: { l1: 9, l2: 0, fallback: 0 } });
    counted.caches['bad'] = figures({ reads: 10, misses: 9, tiers: { l1: 1, l2: 0, fallback: 0 }, loads: 9 });
    clock.advance(STEP_MS);
    const view = cachesView(sampler);
    expect(view.map(({ name }) => name)).toEqual(['bad', 'good', 'silent']);
    expect(view[0]).toMatchObject({ recent: { requests: 10, hitRate: 0.1, loads: 9 }, trend: [0.1] });
    expect(view[2]).toMatchObject({ recent: { requests: 0, hitRate: null }, trend: [] });
  });

  it('of which a hundred are followed show what they did, and the others that it is not known', () => {
    const { sampler, counted, clock } = open();
    sampler.start();
    // One of a single series, and then those of two: what is full first is no multiple of any of them.
    counted.caches['missed'] = figures({ reads: 10, misses: 10 });
    for (let i = 0; i < 200; i += 1)
      counted.caches[`hit-${i}`] = figures({ reads: 10, tiers: { l1: 10, l2: 0, fallback: 0 } });
    counted.caches['never'] = figures();
    clock.advance(STEP_MS);
    const view = cachesView(sampler);
    const shown = view.map(({ recent }) => recent);
    expect(shown.filter((recent) => recent?.hitRate === 1)).toHaveLength(99);
    expect(shown.filter((recent) => recent?.hitRate === 0)).toHaveLength(1);
    expect(shown.filter((recent) => recent === null)).toHaveLength(101);
    expect(view.find(({ name }) => name === 'hit-150')).toMatchObject({
      recent: null,
      hour: null,
      trend: [],
    });
    expect(view.at(-1)).toMatchObject({ name: 'never', recent: { requests: 0, hitRate: null } });
    // What others are told is what is known.
    const { caches } = ownFleetReport(sampler, 'one');
    expect(caches).toHaveLength(100);
    for (const { name, hits } of caches) expect(hits).toBe(name === 'missed' ? 0 : 10);
  });

  it('are all looked at before the worst five hundred are shown', () => {
    const { sampler, counted, clock } = open();
    for (let i = 0; i < 600; i += 1) counted.caches[`cache-${i}`] = figures();
    sampler.start();
    counted.caches['cache-599'] = figures({ reads: 10, misses: 10 });
    clock.advance(STEP_MS);
    const view = cachesView(sampler);
    expect(view).toHaveLength(500);
    expect(view[0]).toMatchObject({ name: 'cache-599', recent: { hitRate: 0 } });
  });

  it('beyond a hundred they are in the sums, and memory stays what it is', () => {
    const { sampler, counted, clock } = open();
    sampler.start();
    for (let i = 0; i < 300; i += 1)
      counted.caches[`cache-${i}`] = figures({ reads: 10, misses: 5, loads: 5 });
    clock.advance(STEP_MS);
    expect(sampler.caches.series).toBe(300);
    expect(sampler.history.latest('requests')).toBeGreaterThan(0);
    expect(sampler.caches.bytes).toBe(300 * 720 * 8);
  });
});

it('what was 0 throughout is not sent', () => {
  const { sampler, counted, clock } = open();
  sampler.start();
  counted.caches['books'] = figures({ reads: 10, misses: 10 });
  clock.advance(STEP_MS);
  const view = seriesView(sampler, 10);
  expect(view.requests).toHaveLength(2);
  expect(view).not.toHaveProperty('stale');
});

it('commands of a step are counted for that step', () => {
  const { sampler, clock } = open();
  sampler.start();
  const attributes = { command: 'get', attempts: 1 };
  const event = { name: 'connection.command', subject: 'default', outcome: 'ok', durationMs: 2, attributes };
  for (let i = 0; i < 50; i += 1) telemetryChannel('connection').publish(event);
  clock.advance(STEP_MS);
  expect(sampler.history.latest('commands')).toBeGreaterThan(0);
  expect(sampler.history.latest('p99')).toBeGreaterThan(1.8);
  clock.advance(STEP_MS);
  expect(sampler.history.latest('commands')).toBe(0);
  expect(sampler.history.latest('p99')).toBeNull();
});
