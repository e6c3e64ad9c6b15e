import { describe, expect, it } from 'vitest';
import { withoutCovered } from './tracking-prefixes.js';

describe('withoutCovered', () => {
  it.each([
    [
      ['a:', 'b:'],
      ['a:', 'b:'],
    ],
    [['a:', 'a:'], ['a:']],
    [
      ['a:b:', 'a:', 'a:c:', 'b:'],
      ['a:', 'b:'],
    ],
  ])('of %j keeps %j', (given, kept) => {
    expect(withoutCovered(given)).toEqual(kept);
  });

  it.each([[[]], [['']], [['a:', '']]])(
    'refuses %j, which would announce every key of the server',
    (given) => {
      expect(() => withoutCovered(given)).toThrow(RangeError);
    },
  );
});
