import { describe, expect, it } from 'vitest';
import { parseCron } from './cron.js';

const at = (text: string): number => Date.parse(text);

describe('the next time', () => {
  it.each([
    ['* * * * *', '2026-11-21T10:00:30Z', '2026-11-21T10:01:00Z'],
    ['0 3 * * *', '2026-11-21T03:00:00Z', '2026-11-22T03:00:00Z'],
    ['*/15 * * * *', '2026-11-21T10:14:59Z', '2026-11-21T10:15:00Z'],
    ['5-59/20 9-17 * * 1-5', '2026-11-20T17:46:00Z', '2026-11-23T09:05:00Z'],
    ['0 0 1,15 * *', '2026-11-02T00:00:00Z', '2026-11-15T00:00:00Z'],
    ['0 0 29 2 *', '2026-11-21T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 13 * 5', '2026-11-08T00:00:00Z', '2026-11-13T00:00:00Z'],
    ['0 0 13 * 5', '2026-11-13T00:00:00Z', '2026-11-20T00:00:00Z'],
    ['0 12 * * 7', '2026-11-21T00:00:00Z', '2026-11-22T12:00:00Z'],
    ['59 23 31 12 *', '2026-12-31T23:59:00Z', '2027-12-31T23:59:00Z'],
  ])('of %s after %s is %s', (cron, after, next) => {
    expect(new Date(parseCron(cron).next(at(after))).toISOString()).toBe(new Date(next).toISOString());
  });
});

describe('what is no schedule', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    'a * * * *',
    '5-1 * * * *',
    '*/0 * * * *',
    '1,, * * * *',
  ])('%j is refused', (cron) => {
    expect(() => parseCron(cron)).toThrow(/is no schedule/u);
  });

  it('a day that never comes is refused when it is looked for', () => {
    expect(() => parseCron('0 0 31 2 *').next(at('2026-11-21T00:00:00Z'))).toThrow(/no such day/u);
  });
});
