import { expect, it } from 'vitest';
import { seededRandom } from './seeded-random.js';

const take = (seed: number) => Array.from({ length: 1000 }, seededRandom(seed));

it('repeats its numbers for a seed, gives others for another, and stays within [0, 1)', () => {
  expect(take(7)).toEqual(take(7));
  expect(take(7)).not.toEqual(take(8));
  expect(take(7).every((value) => value >= 0 && value < 1)).toBe(true);
  expect(new Set(take(7)).size).toBeGreaterThan(990);
});
