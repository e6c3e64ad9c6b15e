import { expect, it } from 'vitest';
import { FALLBACK_DEFAULTS, resolveFallback } from './fallback.options.js';

it('fills in the defaults and keeps what is given', () => {
  expect(resolveFallback()).toEqual(FALLBACK_DEFAULTS);
  expect(resolveFallback({ maxEntries: 1, journal: 0, maxBytes: undefined })).toEqual({
    ...FALLBACK_DEFAULTS,
    maxEntries: 1,
    journal: 0,
  });
});

it.each([
  ['maxEntries', 0],
  ['maxBytes', 1.5],
  ['journal', -1],
] as const)('refuses %s: %d', (name, value) => {
  expect(() => resolveFallback({ [name]: value })).toThrow(
    new RegExp(`fallback\\.${name}: ${value} is not`, 'u'),
  );
});
