import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { keySlot, SLOT_COUNT } from '../../connection/index.js';
import { slotOf, SlotTable, type SlotShare } from './slot-table.js';

const equal = (count: number): SlotShare[] =>
  Array.from({ length: count }, (_, i) => ({ id: `s${i}`, weight: 1 }));

function digest(table: SlotTable): string {
  return createHash('sha256').update(table.toText()).digest('hex').slice(0, 16);
}

/** How far the worst is from its share, as a part of the share. */
function worstError(table: SlotTable, shares: readonly SlotShare[]): number {
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  const counts = table.counts();
  return Math.max(
    ...shares.map(({ id, weight }) => {
      const share = (SLOT_COUNT * weight) / total;
      return Math.abs((counts.get(id) ?? 0) - share) / share;
    }),
  );
}

function betweenOthers(before: SlotTable, after: SlotTable, changed: string): number {
  let wrong = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
    const [from, to] = [before.ownerOf(slot), after.ownerOf(slot)];
    if (from !== to && from !== changed && to !== changed) wrong += 1;
  }
  return wrong;
}

describe('SlotTable', () => {
  it.each([
    ['one', [{ id: 'a', weight: 1 }], '7046780df6bcc2c9'],
    [
      'three',
      [
        { id: 'a', weight: 1 },
        { id: 'b', weight: 1 },
        { id: 'c', weight: 1 },
      ],
      'd2244eedbd850670',
    ],
    [
      'weights 1:2:4',
      [
        { id: 'a', weight: 1 },
        { id: 'b', weight: 2 },
        { id: 'c', weight: 4 },
      ],
      '45583e0c7674acd5',
    ],
    ['sixty-four', equal(64), 'ddd786dda1db029d'],
  ])('is the same for ever: %s', (_name, shares, golden) => {
    expect(digest(SlotTable.of(shares))).toBe(golden);
    expect(digest(SlotTable.of(shares.toReversed()))).toBe(golden);
  });

  it('is the same for ever after a change too', () => {
    const grown = SlotTable.of(equal(3)).with(equal(4));
    expect(digest(grown)).toBe('756ea0b5c4899ddc');
    expect(digest(grown.with(equal(4).slice(1)))).toBe('0c0fd6c910176ca6');
  });

  it.each([1, 2, 3, 5, 8, 13, 64])('gives %i equal shards equal shares', (count) => {
    expect(worstError(SlotTable.of(equal(count)), equal(count))).toBeLessThan(0.004);
  });

  it('keeps weights, whatever happened before', () => {
    const shares = [...equal(4), { id: 'heavy', weight: 2.5 }];
    expect(worstError(SlotTable.of(equal(3)).with(shares), shares)).toBeLessThan(0.004);
  });

  it('gives nothing to weight 0, and nothing at all when nobody has a weight', () => {
    const table = SlotTable.of([...equal(2), { id: 'witness', weight: 0 }]);
    expect([...table.counts().keys()].toSorted()).toEqual(['s0', 's1']);
    expect(SlotTable.of([]).ownerOf(7)).toBeUndefined();
  });

  it.each([1, 2, 3, 7, 31])('moves from %i shards to one more only what the new one gets', (count) => {
    const before = SlotTable.of(equal(count));
    const after = before.with(equal(count + 1));
    expect(before.movedTo(after) / SLOT_COUNT).toBeLessThanOrEqual(1 / (count + 1) + 0.001);
    expect(betweenOthers(before, after, `s${count}`)).toBe(0);
    const back = after.with(equal(count));
    expect(betweenOthers(after, back, `s${count}`)).toBe(0);
  });

  it('moves nothing between the others when a weight changes', () => {
    const before = SlotTable.of(equal(5));
    const after = before.with(equal(5).map((share) => (share.id === 's2' ? { ...share, weight: 3 } : share)));
    expect(before.movedTo(after)).toBeGreaterThan(0);
    expect(betweenOthers(before, after, 's2')).toBe(0);
  });

  it('is read back from its text', () => {
    const table = SlotTable.of(equal(5));
    expect(table.movedTo(SlotTable.fromText(table.toText()))).toBe(0);
    expect(SlotTable.fromText(table.toText()).with(equal(6)).toText()).toBe(table.with(equal(6)).toText());
  });
});

describe('slotOf', () => {
  it('is that of Redis Cluster, for a key and for its tag', () => {
    expect(slotOf('foo')).toBe(12_182);
    expect(slotOf('user:%7B42%7D:name')).toBe(keySlot('user:{42}:name'));
    expect(slotOf('a%7B%7Db')).toBe(keySlot('a%7B%7Db'));
    expect(slotOf('a%7Bb')).toBe(keySlot('a%7Bb'));
  });
});
