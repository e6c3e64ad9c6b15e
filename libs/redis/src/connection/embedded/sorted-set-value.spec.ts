/** The chunked order against a plain sorted array, through sizes that split and empty chunks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiBytes } from './byte-string.js';
import { SortedSetValue, type ScoredMember } from './sorted-set-value.js';

type Step = { kind: 'set'; member: number; score: number } | { kind: 'delete'; member: number };

const MEMBERS = 1_500;
const member = fc.integer({ min: 0, max: MEMBERS });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), member, score: fc.integer({ min: 0, max: 50 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), member }) },
); // prettier-ignore

function inOrder(scores: ReadonlyMap<string, number>): ScoredMember[] {
  return [...scores]
    .map(([name, score]) => ({ member: asciiBytes(name), score }))
    .toSorted((a, b) => a.score - b.score || (a.member < b.member ? -1 : 1));
}

describe('a sorted set', () => {
  it('keeps the order a plain sort would give', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 600, maxLength: 2_000 }), (steps) => {
        const set = new SortedSetValue();
        const model = new Map<string, number>();
        for (const { member: number, ...rest } of steps) {
          const name = `m${number}`;
          if (rest.kind === 'set') {
            set.set(asciiBytes(name), rest.score);
            model.set(name, rest.score);
          } else {
            expect(set.delete(asciiBytes(name))).toBe(model.delete(name));
          }
        }
        const expected = inOrder(model);
        expect(set.slice(0, set.size)).toEqual(expected);
        expect(set.slice(100, 300)).toEqual(expected.slice(100, 300));
        const ranks = expected.map((item) => set.rank(item.member));
        expect(ranks).toEqual(expected.map((_, rank) => rank));
        expect(set.countBefore(({ score }) => score >= 25)).toBe(
          expected.filter(({ score }) => score < 25).length,
        );
      }),
      { numRuns: 20 },
    );
  });

  it('weighs nothing once it is empty again', () => {
    const set = new SortedSetValue();
    for (let i = 0; i < 1_000; i += 1) set.set(asciiBytes(`m${i}`), i % 7);
    for (let i = 0; i < 1_000; i += 1) set.delete(asciiBytes(`m${i}`));
    expect({ size: set.size, weight: set.weight }).toEqual({ size: 0, weight: 0 });
  });

  it('does not lose a second copy when its clone changes', () => {
    const set = new SortedSetValue();
    set.set(asciiBytes('a'), 1);
    const copy = set.clone();
    copy.set(asciiBytes('a'), 2);
    expect([set.score(asciiBytes('a')), copy.score(asciiBytes('a'))]).toEqual([1, 2]);
  });
});
