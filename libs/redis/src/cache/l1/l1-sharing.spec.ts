/** Callers of one load, and what one of them can do to what another one has. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { ClassRegistry } from '../../codec/index.js';
import { createClient, resolveConnection } from '../../connection/index.js';
import { CacheService } from '../cache-service.js';
import type { CacheOptions } from '../cache.options.js';
import { NearCache } from './l1-near-cache.js';
import { resolveL1, type Isolation } from './l1.options.js';

class Point {
  x = 1;
}

const client = createClient(resolveConnection('sharing', { topology: 'embedded' }, []));
let namespaces = 0;

function open(isolation: Isolation | 'no L1', options: CacheOptions = {}): CacheService {
  const l1 = resolveL1(isolation === 'no L1' ? false : { isolation });
  const near = l1 === false ? undefined : new NearCache({ client, l1 });
  const namespace = `s${(namespaces += 1)}`;
  const cache = new CacheService({ client, namespace, tiers: near?.tiers }, options);
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await near?.close();
  });
  return cache;
}

interface Basket {
  items: string[];
}

async function loadTogether(cache: CacheService, own: unknown): Promise<unknown[]> {
  const load = async (): Promise<unknown> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return own;
  };
  return Promise.all(Array.from({ length: 4 }, () => cache.getOrSet('k', load)));
}

const push = (basket: unknown): void => void (basket as Basket).items.push('mine');

describe('callers who share a load', () => {
  it.each(['copy', 'no L1'] as const)('%s: each has a value of its own', async (isolation) => {
    const got = await loadTogether(open(isolation), { items: ['a'] });
    expect(new Set(got).size).toBe(4);
    got.slice(0, 3).forEach(push);
    expect(got[3]).toEqual({ items: ['a'] });
  });

  it('frozen: all have one that none can change, and the loader keeps its own as it was', async () => {
    const own = { items: ['a'], at: new Date(0) };
    const got = await loadTogether(open('frozen'), own);
    expect(new Set(got).size).toBe(1);
    expect(() => push(got[0])).toThrow(TypeError);
    expect(() => (got[1] as typeof own).at.setTime(1)).toThrow(TypeError);
    expect(got[0]).not.toBe(own);
    push(own);
    expect(got[0]).toMatchObject({ items: ['a'] });
  });

  it('frozen: what has bytes in it is copied for each', async () => {
    const got = await loadTogether(open('frozen'), { bytes: Buffer.from('abc') });
    (got[0] as { bytes: Buffer }).bytes[0] = 0;
    expect((got[1] as { bytes: Buffer }).bytes.toString()).toBe('abc');
  });

  it('shared: all have what was loaded', async () => {
    const own = { items: ['a'] };
    expect(new Set(await loadTogether(open('shared'), own))).toEqual(new Set([own]));
  });

  it('one alone gets what was loaded, and may change it: it is in nobody else’s hands', async () => {
    const own = { items: ['a'] };
    const cache = open('frozen');
    expect(await cache.getOrSet('k', () => own)).toBe(own);
    push(own);
    expect(await cache.get('k')).toEqual({ items: ['a'] });
  });

  it('instances of classes the codec knows are made anew, each its own', async () => {
    const classes = new ClassRegistry().registerClass('Point', Point, {
      toJSON: ({ x }) => x,
      fromJSON: (x) => at(Number(x)),
    });
    const [one, other] = await loadTogether(open('copy', { codec: { classes } }), { point: at(3) });
    (one as { point: Point }).point.x = 9;
    expect(other).toEqual({ point: at(3) });
    expect((other as { point: unknown }).point).toBeInstanceOf(Point);
  });

  it('what has neither a copy nor a form to be stored in is shared: there is nothing better', async () => {
    const own = { reload: () => 1 };
    const got = await loadTogether(open('frozen'), own);
    expect(new Set(got)).toEqual(new Set([own]));
    expect(Object.isFrozen(own)).toBe(false);
  });

  it.each<[string, () => unknown]>([
    ['not to be looked at without an error', throwing],
    ['nested too deeply to be copied', nested],
  ])('what is %s is shared too, and nobody is left waiting', async (_what, make) => {
    const own = make();
    const got = await loadTogether(open('frozen', { loadTimeout: { hard: '1s' } }), own);
    // Told by identity alone: to compare it would take what copying it takes.
    expect([...new Set(got)].map((value) => value === own)).toEqual([true]);
  });

  it('a value that somebody else has loaded, and that several wait for here', async () => {
    const [there, here] = ['there', 'here'].map(() => new CacheService({ client, namespace: 'both' }));
    if (there === undefined || here === undefined) throw new Error('there are two');
    onTestFinished(async () => {
      await Promise.all([there.disconnect(), here.disconnect()]);
    });
    const slow = async (): Promise<Basket> => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return { items: ['a'] };
    };
    const loading = there.getOrSet('k', slow);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const waiting = Promise.all(Array.from({ length: 3 }, () => here.getOrSet('k', slow)));
    const got = [await loading, ...(await waiting)];
    got.slice(0, 3).forEach(push);
    expect(got[3]).toEqual({ items: ['a'] });
    expect(here.stats().loads + there.stats().loads).toBe(1);
  });
});

function at(x: number): Point {
  const point = new Point();
  point.x = x;
  return point;
}

function throwing(): unknown {
  return {
    get total(): number {
      throw new Error('not computed yet');
    },
  };
}

function nested(): unknown {
  let value: unknown = 1;
  for (let depth = 0; depth < 200_000; depth += 1) value = { value };
  return value;
}
