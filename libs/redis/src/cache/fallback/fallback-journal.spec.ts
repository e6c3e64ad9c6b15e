/** What the journal keeps, what it leaves out, and what a replay strikes out of it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { CacheKeys } from '../cache.keys.js';
import { Journal, type KeyDebt } from './fallback-journal.js';

const keys = new CacheKeys('app', 'default');
const at = (key: string) => ({ cache: 'default', key, full: keys.value(key) });

let journal: Journal;

beforeEach(() => {
  journal = new Journal(100);
});

function debt(key: string): KeyDebt | undefined {
  return journal.view().keys.find((each) => each.key === key);
}

const count = (key: string, amount: number, times: { now?: number; endsAt?: number } = {}): void =>
  journal.count(at(key), { amount, now: times.now ?? 0, endsAt: times.endsAt });

describe('it keeps what has to be done', () => {
  it('a key once, whatever happened to it', () => {
    for (let i = 0; i < 10; i += 1) journal.remove(at('k'));
    count('n', 2);
    count('n', 3);
    journal.putFields(at('h'), ['a', 'b'], undefined);
    journal.putFields(at('h'), ['b'], undefined);
    journal.tags(['t', 't', 'u']);
    expect(journal.size).toBe(3 + 2 + 2);
    expect(debt('k')).toMatchObject({ remove: true, delta: 0 });
    expect(debt('n')).toMatchObject({ remove: false, delta: 5 });
    expect([...(debt('h')?.fields ?? [])]).toEqual(['a', 'b']);
  });

  it('a removal makes void what was added before it, and not what comes after', () => {
    count('n', 5);
    journal.expire(at('n'), 10);
    journal.putFields(at('n'), ['f'], 5);
    journal.remove(at('n'));
    expect(debt('n')).toMatchObject({ remove: true, delta: 0, expiry: undefined, endsAt: undefined });
    count('n', 1, { endsAt: 7 });
    expect(debt('n')).toMatchObject({ remove: true, delta: 1, endsAt: 7 });
    expect(journal.size).toBe(1);
  });

  it('a counter that has ended begins anew', () => {
    count('n', 5, { now: 0, endsAt: 10 });
    count('n', 2, { now: 9, endsAt: 19 });
    expect(debt('n')).toMatchObject({ delta: 7, endsAt: 10 });
    count('n', 1, { now: 10, endsAt: 20 });
    expect(debt('n')).toMatchObject({ delta: 1, endsAt: 20 });
  });

  it('a flush swallows keys and prefixes of its cache, a prefix the keys below it, neither any tag', () => {
    journal.remove(at('a:1'));
    count('a:2', 1);
    journal.remove(at('b'));
    journal.remove({ cache: 'other', key: 'a:1', full: new CacheKeys('app', 'other').value('a:1') });
    journal.tags(['t']);
    journal.prefix('default', ['a'], keys.valuesUnder(['a']).holds);
    expect(journal.view().keys.map(({ cache, key }) => [cache, key])).toEqual([
      ['default', 'b'],
      ['other', 'a:1'],
    ]);
    journal.flush('default');
    journal.prefix('default', ['c'], keys.valuesUnder(['c']).holds);
    count('b', 1);
    const { flushes, prefixes, tags } = journal.view();
    expect([flushes, prefixes, tags]).toEqual([['default'], [], ['t']]);
    expect(debt('b')).toMatchObject({ remove: false, delta: 1 });
  });

  it('what was handed in may change afterwards', () => {
    const key = ['book', 1];
    journal.remove({ cache: 'default', key, full: keys.value(key) });
    key[1] = 2;
    expect(journal.view().keys[0]?.key).toEqual(['book', 1]);
  });
});

describe('beyond its bound', () => {
  it('all of it becomes one flush, and stays one', () => {
    for (let i = 0; i < 100; i += 1) journal.remove(at(`k${i}`));
    expect([journal.size, journal.overflowed]).toEqual([100, false]);
    journal.remove(at('k5'));
    expect(journal.overflowed).toBe(false);
    journal.remove(at('one more'));
    count('n', 1);
    journal.tags(['t']);
    journal.flush('default');
    expect([journal.size, journal.overflowed, journal.short]).toEqual([1, true, false]);
    expect(journal.view()).toMatchObject({ overflowed: true, keys: [], tags: [], flushes: [] });
  });

  it.each<[string, (i: number) => void]>([
    ['tags', (i) => journal.tags([`t${i}`])],
    ['prefixes', (i) => journal.prefix('default', `p${i}`, () => false)],
    ['caches', (i) => journal.flush(`c${i}`)],
    ['fields', (i) => journal.putFields(at('h'), [`f${i}`], undefined)],
    ['counters', (i) => count(`n${i}`, 1)],
  ])('%s count', (_what, add) => {
    for (let i = 0; i < 102; i += 1) add(i);
    expect([journal.size, journal.overflowed]).toEqual([1, true]);
  });
});

describe('a replay', () => {
  it('strikes out what was not repeated since', () => {
    journal.remove(at('k'));
    journal.remove(at('l'));
    journal.tags(['t', 'u']);
    journal.prefix('default', 'p', () => false);
    journal.flush('other');
    const view = journal.view();
    journal.remove(at('l'));
    journal.tags(['u']);
    journal.invalidated(view);
    const left = journal.view();
    expect([left.keys.map(({ key }) => key), left.tags, left.prefixes, left.flushes]).toEqual([
      ['l'],
      ['u'],
      [],
      [],
    ]);
  });

  it('an overflow that went on is not over', () => {
    for (let i = 0; i < 101; i += 1) journal.remove(at(`k${i}`));
    const view = journal.view();
    journal.remove(at('k'));
    journal.invalidated(view);
    expect(journal.overflowed).toBe(true);
    journal.invalidated(journal.view());
    expect([journal.overflowed, journal.size]).toEqual([false, 0]);
  });

  it('a count is taken once, and comes back only to the counter it was meant for', () => {
    count('n', 5);
    const owed = debt('n');
    if (owed === undefined) throw new Error('nothing is owed');
    const { removals } = owed;
    expect([journal.takeDelta(owed), journal.takeDelta(owed)]).toEqual([5, 0]);
    count('n', 1);
    journal.giveBackDelta(owed, 5, removals);
    expect(owed.delta).toBe(6);
    const taken = journal.takeDelta(owed);
    journal.remove(at('n'));
    journal.giveBackDelta(owed, taken, removals);
    expect(owed).toMatchObject({ remove: true, delta: 0 });
    journal.flush('default');
    journal.giveBackDelta(owed, taken, owed.removals);
    expect(journal.view().keys).toEqual([]);
  });

  it('fields are taken once, come back, and count', () => {
    journal.putFields(at('h'), ['a', 'b'], undefined);
    const owed = debt('h');
    if (owed === undefined) throw new Error('nothing is owed');
    expect(journal.takeFields(owed)).toEqual(['a', 'b']);
    expect(journal.size).toBe(1);
    journal.giveBackFields(owed, ['a', 'b'], owed.removals);
    expect(journal.size).toBe(3);
    const { removals } = owed;
    journal.remove(at('h'));
    journal.giveBackFields(owed, ['a'], removals);
    expect(journal.size).toBe(1);
  });

  it('a key is struck out when nothing is owed to it', () => {
    journal.remove(at('k'));
    count('k', 1);
    journal.invalidated(journal.view());
    const owed = debt('k');
    if (owed === undefined) throw new Error('nothing is owed');
    expect(owed.remove).toBe(false);
    journal.settle(owed);
    expect(journal.size).toBe(1);
    journal.takeDelta(owed);
    journal.settle(owed);
    expect(journal.size).toBe(0);
  });
});
