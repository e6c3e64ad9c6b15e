/** The glob matcher against a transcription of Redis' own, and against patterns made to blow matchers up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob, escapeGlob, matchesGlob } from './redis-glob.js';

/** `stringmatchlen` of Redis 7.0, as directly as TypeScript allows: recursive, exponential, and right. */
function redisMatches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  while (p < pattern.length && t < text.length) {
    const symbol = pattern[p];
    if (symbol === '*') {
      while (pattern[p + 1] === '*') p += 1;
      return p + 1 === pattern.length || redisMatchesSomewhere(pattern.slice(p + 1), text.slice(t));
    }
    if (symbol === '[') {
      const found = redisClass(pattern, p + 1, text[t] ?? '');
      if (!found.matches) return false;
      p = found.last;
    } else if (symbol !== '?') {
      if (symbol === '\\' && p + 1 < pattern.length) p += 1;
      if (pattern[p] !== text[t]) return false;
    }
    p += 1;
    t += 1;
    if (t === text.length) {
      while (pattern[p] === '*') p += 1;
      break;
    }
  }
  return p >= pattern.length && t >= text.length;
}

function redisMatchesSomewhere(pattern: string, text: string): boolean {
  return Array.from(text, (_, start) => text.slice(start)).some((rest) => redisMatches(pattern, rest));
}

function redisClass(pattern: string, start: number, symbol: string): { matches: boolean; last: number } {
  const negated = pattern[start] === '^';
  let p = negated ? start + 1 : start;
  let matches = false;
  for (;;) {
    if (pattern[p] === '\\' && pattern.length - p >= 2) {
      p += 1;
      if (pattern[p] === symbol) matches = true;
    } else if (pattern[p] === ']') {
      break;
    } else if (p >= pattern.length) {
      p -= 1;
      break;
    } else if (pattern[p + 1] === '-' && pattern.length - p >= 3) {
      const [low = '', high = ''] = [pattern[p] ?? '', pattern[p + 2] ?? ''].toSorted();
      if (symbol >= low && symbol <= high) matches = true;
      p += 2;
    } else if (pattern[p] === symbol) {
      matches = true;
    }
    p += 1;
  }
  return { matches: matches !== negated, last: p };
}

describe('a Redis glob', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['**', '', false],
    ['', '', true],
    ['', 'a', false],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hillo', false],
    ['h[^e]llo', 'hallo', true],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['h[a-', 'hb', false],
    ['h[abc', 'hb', true],
    ['h[^', 'hx', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['a\\', 'a\\', true],
    ['a*b*c', 'aXbYbZc', true],
    ['*a', 'aaab', false],
  ])('%j against %j: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected);
  });

  it('agrees with the matcher of Redis on random patterns', () => {
    const symbols = fc.constantFrom('a', 'b', 'c', '*', '?', '[', ']', '^', '-', '\\');
    const pattern = fc.array(symbols, { maxLength: 10 }).map((list) => list.join(''));
    const text = fc.array(fc.constantFrom('a', 'b', 'c', '-', ']', '\\', '^'), { maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (glob, list) => {
        // SCAN never asks its matcher about a lone star.
        fc.pre(glob !== '*');
        expect(matchesGlob(glob, list.join(''))).toBe(redisMatches(glob, list.join('')));
      }),
      { numRuns: 20_000 },
    );
  });

  it('does not blow up on a hostile pattern', () => {
    const matches = compileGlob(`${'*a'.repeat(200)}*b`);
    const startedAt = performance.now();
    expect(matches('a'.repeat(5_000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('escapeGlob', () => {
  it('makes any text match itself and only itself', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '*', '?', '[', ']', '^', '-', '\\', 'я'),
      maxLength: 8,
    });
    fc.assert(
      fc.property(text, text, (left, right) => {
        expect(matchesGlob(escapeGlob(left), right)).toBe(left === right);
      }),
      { numRuns: 5_000 },
    );
  });
});
