import { expect, it } from 'vitest';
import { MarkedNames } from './marked-names.js';

it('knows every name it was given, and hardly any other', () => {
  const names = new MarkedNames();
  expect(names.has('tag:0')).toBe(false);
  for (let i = 0; i < 20_000; i += 1) names.add(`tag:${i}`);
  let [known, mistaken] = [0, 0];
  for (let i = 0; i < 20_000; i += 1) {
    if (names.has(`tag:${i}`)) known += 1;
    if (names.has(`another:${i}`)) mistaken += 1;
  }
  expect({ size: names.size, known }).toEqual({ size: 20_000, known: 20_000 });
  // One in 1,678 on average.
  expect(mistaken).toBeLessThan(60);
});
