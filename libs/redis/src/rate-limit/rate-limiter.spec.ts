import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient } from '../../testing/chaos-client.js';
import { FakeClock } from '../../testing/fake-clock.js';
import {
  CommandTimeoutError,
  createClient,
  resolveConnection,
  type RedisClient,
} from '../connection/index.js';
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import { RememberedDecision } from './denial-memory.js';
import { headersOf } from './rate-headers.js';
import { resolveLimit, type Limit } from './limit.options.js';
import type { RateLimiterOptions } from './rate-limit.options.js';
import { RateLimiter } from './rate-limiter.js';

interface World {
  readonly limiter: RateLimiter;
  readonly clock: FakeClock;
  readonly client: ReturnType<typeof createChaosClient>;
  readonly another: (options?: RateLimiterOptions) => RateLimiter;
}

function world(options: RateLimiterOptions = {}): World {
  const clock = new FakeClock();
  const inner = createClient(resolveConnection('world', { topology: 'embedded' }, []), { clock });
  const client = createChaosClient(inner, { clock });
  const another = (its: RateLimiterOptions = options): RateLimiter => {
    const limiter = new RateLimiter({ client, namespace: 'app', clock }, its);
    onTestFinished(() => limiter.close());
    return limiter;
  };
  onTestFinished(() => inner.disconnect());
  return { limiter: another(), clock, client, another };
}

const TEN: Limit = { limit: 10, window: '10s' };
const LOST = new CommandTimeoutError('by order of the test');

async function allowedOf(limiter: RateLimiter, count: number, limit: Limit, subject = 's'): Promise<number> {
  let allowed = 0;
  for (let i = 0; i < count; i += 1) if ((await limiter.consume(subject, limit)).allowed) allowed += 1;
  return allowed;
}

describe('intervals', () => {
  it.each([1, 3, 7, 13, 600, 9_999, 1_000_000])('%i per second is never more than that', (limit) => {
    const { unit } = resolveLimit({ limit, window: '1s' });
    expect(Number.isInteger(unit)).toBe(true);
    expect(unit * limit).toBeGreaterThanOrEqual(1_000_000);
    expect((unit - 1) * limit).toBeLessThan(1_000_000);
  });
});

describe('time', () => {
  it('gcra gives back one by one, and waiting as long as told is enough and needed', async () => {
    const { limiter, clock } = world();
    expect(await allowedOf(limiter, 12, TEN)).toBe(10);
    const { retryAfterMs } = await limiter.consume('s', TEN);
    expect(retryAfterMs).toBe(1_000);
    clock.advance(retryAfterMs - 0.01);
    expect((await limiter.consume('s', TEN)).allowed).toBe(false);
    clock.advance(0.02);
    expect((await limiter.consume('s', TEN)).allowed).toBe(true);
    clock.advance(3_500);
    expect(await allowedOf(limiter, 10, TEN)).toBe(3);
  });

  it.each<Limit>([
    { ...TEN, algorithm: 'sliding-window' },
    { ...TEN, algorithm: 'fixed-window' },
  ])('$algorithm: waiting as long as told is enough and needed', async (limit) => {
    const { limiter, clock } = world({ denials: false });
    clock.advance(1_234.567);
    for (let round = 0; round < 30; round += 1) {
      await allowedOf(limiter, 4, limit);
      const { allowed, retryAfterMs } = await limiter.consume('s', limit);
      if (allowed) continue;
      clock.advance(retryAfterMs - 1.01);
      expect((await limiter.peek('s', limit)).allowed).toBe(false);
      clock.advance(1.02);
      expect((await limiter.peek('s', limit)).allowed).toBe(true);
    }
  });

  it('the wall clock may jump: nothing is lost and nobody is locked out', async () => {
    const { limiter, clock } = world();
    await allowedOf(limiter, 10, TEN);
    clock.jumpWall(-86_400_000);
    expect((await limiter.consume('s', TEN)).retryAfterMs).toBeLessThanOrEqual(1_000);
    clock.jumpWall(2 * 86_400_000);
    expect((await limiter.consume('s', TEN)).allowed).toBe(false);
  });
});

describe('places', () => {
  const PLACES: Limit = { algorithm: 'concurrency', limit: 1, hold: '30s' };

  it('stay with who lives, however long it takes', async () => {
    const { limiter, clock, another } = world();
    const held = await limiter.consume('s', PLACES);
    for (let i = 0; i < 20; i += 1) await clock.advanceAsync(9_000);
    expect((await another().consume('s', PLACES)).allowed).toBe(false);
    await held.release();
    expect((await another().consume('s', PLACES)).allowed).toBe(true);
  });

  it('of who died are free after the hold', async () => {
    const { limiter, clock, client, another } = world();
    await limiter.consume('s', PLACES);
    // Its renewals do not get through any more.
    client.fail(LOST);
    await clock.advanceAsync(29_000);
    client.heal();
    expect((await another({ denials: false }).peek('s', PLACES)).allowed).toBe(false);
    client.fail(LOST);
    await clock.advanceAsync(2_000);
    client.heal();
    expect((await another().consume('s', PLACES)).allowed).toBe(true);
    await clock.advanceAsync(11_000);
    expect(limiter.stats().placesLost).toBe(1);
  });

  it('are given back when the limiter closes, and no timer is left', async () => {
    const { limiter, clock, another } = world();
    for (let i = 0; i < 5; i += 1) await limiter.consume(`s${i}`, PLACES);
    const other = another();
    await limiter.close();
    for (let i = 0; i < 5; i += 1) expect((await other.consume(`s${i}`, PLACES)).allowed).toBe(true);
    await other.close();
    await clock.advanceAsync(600_000);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('what a process remembers', () => {
  it('a flood of denials does not reach the store, and waits shorten as time passes', async () => {
    const { limiter, clock, client } = world();
    await allowedOf(limiter, 11, TEN);
    client.fail(new Error('nobody may ask'));
    clock.advance(400);
    const denied = await limiter.consume('s', TEN);
    expect([denied.source, denied.allowed, denied.retryAfterMs]).toEqual(['denial', false, 600]);
    client.heal();
    clock.advance(600);
    expect((await limiter.consume('s', TEN)).allowed).toBe(true);
  });

  it('tells the same in the same words until a second begins for one of the waits', async () => {
    const { limiter, clock } = world({ denials: { longest: '5s' } });
    const ONE: Limit = { limit: 1, window: '10s' };
    await allowedOf(limiter, 2, ONE);
    const fields = () => {
      const decision = limiter.decide([{ subject: 's', limits: ONE }]);
      if (!(decision instanceof RememberedDecision)) throw new Error('it was not remembered');
      return decision.answer(({ limits }) => headersOf(limits, 'draft'));
    };
    const first = fields();
    expect(first[1]).toEqual(['RateLimit', '"default";r=0;t=10']);
    clock.advance(999);
    expect(fields()).toBe(first);
    clock.advance(1.5);
    expect(fields()[1]).toEqual(['RateLimit', '"default";r=0;t=9']);
  });

  it('a refund or a reset of its own at once, and that of another after a second', async () => {
    const { limiter, clock, another } = world();
    const DAY: Limit = { limit: 2, window: '1d' };
    await allowedOf(limiter, 3, DAY);
    await limiter.refund('s', DAY);
    expect((await limiter.consume('s', DAY)).allowed).toBe(true);
    expect((await limiter.consume('s', DAY)).allowed).toBe(false);
    await another().reset('s', DAY);
    expect((await limiter.consume('s', DAY)).source).toBe('denial');
    clock.advance(1_000);
    expect((await limiter.consume('s', DAY)).allowed).toBe(true);
  });

  it('holds no more denials than it may, whatever names turn up', async () => {
    const { limiter } = world({ denials: { maxEntries: 100 } });
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 5_000; i += 1) await limiter.consume(`${i}${'x'.repeat(1_000)}`, { limit: 0 });
    expect(limiter.stats().denied).toBe(5_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 2 ** 20);
  });

  it('takes tokens ahead only where many are asked for, and never more than the limit in the long run', async () => {
    const { limiter, clock } = world();
    const HOT: Limit = { limit: 1_000, window: '10s', lease: 50 };
    expect(await allowedOf(limiter, 300, HOT)).toBe(300);
    const { bySource } = limiter.stats();
    expect(bySource.lease).toBeGreaterThan(200);
    let allowed = 300;
    for (let i = 0; i < 100; i += 1) {
      clock.advance(100);
      allowed += await allowedOf(limiter, 30, HOT);
    }
    expect(allowed).toBeLessThanOrEqual(1_000 + 1_000 + 50);
    expect(allowed).toBeGreaterThan(1_800);
  });
});

describe('without Redis', () => {
  it('local: counts alone, its part of the limit, and says so', async () => {
    const { limiter, client } = world({ replicas: 2 });
    const events: TelemetryEvent[] = [];
    onTestFinished(onTelemetry('rate-limit-changes', (event) => void events.push(event)));
    expect(await allowedOf(limiter, 3, TEN)).toBe(3);
    client.fail(LOST);
    expect(await allowedOf(limiter, 20, TEN)).toBe(5);
    expect(limiter.stats()).toMatchObject({ allowedWithoutStore: 5, bySource: { local: 20 } });
    client.heal();
    expect((await limiter.consume('s', TEN)).source).toBe('store');
    expect(events.filter(({ name }) => name === 'rate-limit.store')).toMatchObject([
      { outcome: 'lost', attributes: { reason: 'COMMAND_TIMEOUT' } },
      { outcome: 'back', attributes: { allowedWithoutStore: 5 } },
    ]);
  });

  it('local: what costs more than the part is possible still', async () => {
    const { limiter, client } = world({ replicas: 10 });
    client.fail(LOST);
    expect((await limiter.consume('s', TEN, { cost: 8 })).allowed).toBe(true);
    expect((await limiter.consume('s', TEN, { cost: 8 })).allowed).toBe(false);
  });

  it('open lets through, closed refuses, and of several the strictest has its say', async () => {
    const { limiter, client } = world();
    client.fail(LOST);
    const open: Limit = { ...TEN, name: 'open', onStoreError: 'open' };
    const closed: Limit = { ...TEN, name: 'closed', onStoreError: 'closed' };
    expect(await limiter.consume('s', open)).toMatchObject({ allowed: true, source: 'open' });
    expect(await limiter.consume('s', closed)).toMatchObject({
      allowed: false,
      source: 'closed',
      violated: ['closed'],
    });
    expect((await limiter.consume('s', [open, closed, TEN])).source).toBe('closed');
    expect((await limiter.consume('s', [open, TEN])).source).toBe('local');
    expect(await limiter.consume('s', { ...closed, shadow: true })).toMatchObject({ allowed: true });
  });

  it('while it is away, one at a time sees whether it is back, and nobody else waits for that', async () => {
    const { limiter, clock, client } = world();
    client.fail(LOST);
    await limiter.consume('s', TEN);
    client.partition();
    const trying = limiter.consume('a', TEN);
    for (let i = 0; i < 20; i += 1) expect((await limiter.consume(`b${i}`, TEN)).source).toBe('local');
    await clock.advanceAsync(1_000);
    expect((await trying).source).toBe('local');
    client.heal();
    expect((await limiter.consume('a', TEN)).source).toBe('store');
    expect((await limiter.consume('b', TEN)).source).toBe('store');
  });

  it('gives places back where they were taken', async () => {
    const { limiter, client } = world();
    const PLACES: Limit = { algorithm: 'concurrency', limit: 1 };
    const far = await limiter.consume('s', PLACES);
    client.fail(LOST);
    const near = await limiter.consume('s', PLACES);
    expect([near.allowed, near.source]).toEqual([true, 'local']);
    expect((await limiter.consume('s', PLACES)).allowed).toBe(false);
    await near.release();
    expect((await limiter.consume('s', PLACES)).allowed).toBe(true);
    client.heal();
    await far.release();
    expect((await limiter.consume('s', PLACES)).allowed).toBe(true);
  });

  it('a refund rejects, since nobody knows', async () => {
    const { limiter, client } = world();
    client.fail(LOST);
    await expect(limiter.refund('s', TEN)).rejects.toThrow(LOST);
    await expect(limiter.reset('s', TEN)).rejects.toThrow(LOST);
  });

  it('a fault that is none of Redis passes through', async () => {
    const { limiter, client } = world();
    client.fail(new TypeError('a fault in the code'));
    await expect(limiter.consume('s', TEN)).rejects.toThrow(TypeError);
  });
});

describe('several subjects in a cluster', () => {
  /** The embedded store, said to be a cluster: subjects are then asked one after the other. */
  function spread(client: RedisClient): RedisClient {
    return new Proxy(client, {
      get: (target, name) => {
        if (name === 'topology') return 'cluster';
        const found: unknown = Reflect.get(target, name);
        return typeof found === 'function' ? (found.bind(target) as unknown) : found;
      },
    });
  }

  it('what was taken is given back when a later one fails', async () => {
    const { client, clock } = world();
    let calls = 0;
    const failing = new Proxy(spread(client), {
      get: (target, name) => {
        if (name !== 'run') return Reflect.get(target, name) as unknown;
        return (...call: Parameters<RedisClient['run']>) => {
          calls += 1;
          return calls === 2 ? Promise.reject(LOST) : target.run(...call);
        };
      },
    });
    const limiter = new RateLimiter({ client: failing, namespace: 'app', clock });
    const asks = ['a', 'b', 'c'].map((subject) => ({ subject, limits: TEN }));
    const asking = limiter.consumeAll(asks);
    for (let i = 0; i < 20; i += 1) {
      await clock.advanceAsync(1);
    }
    expect((await asking).source).toBe('local');
    const left = await Promise.all(
      asks.map(({ subject }) => new RateLimiter({ client, namespace: 'app', clock }).peek(subject, TEN)),
    );
    expect(left.map(({ limits: [state] }) => state?.remaining)).toEqual([10, 10, 10]);
    await limiter.close();
  });
});

describe('headers', () => {
  it('are structured fields as the draft has them, and leave shadows and short windows out', async () => {
    const { limiter } = world();
    const { limits } = await limiter.consume('s', [
      { name: 'burst', limit: 10, window: '1m' },
      { name: 'tick', limit: 10, window: '500ms' },
      { name: 'places', limit: 3, algorithm: 'concurrency' },
      { name: 'quiet', limit: 1, shadow: true },
    ]);
    expect(headersOf(limits, 'draft')).toEqual([
      ['RateLimit-Policy', '"burst";q=10;w=60, "tick";q=10, "places";q=3;qu="concurrent-requests"'],
      ['RateLimit', '"burst";r=9;t=6, "tick";r=9;t=1, "places";r=2'],
    ]);
    expect(headersOf([], 'both')).toEqual([]);
  });
});
