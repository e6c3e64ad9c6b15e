import { describe, expect, it } from 'vitest';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

it.each([
  [1, '01'],
  [0, '00'],
  [3, '01'],
])('writes flags %i as %s, and reads them back', (traceFlags, written) => {
  const text = formatTraceparent({ traceId, spanId, traceFlags });
  expect(text).toBe(`00-${traceId}-${spanId}-${written}`);
  expect(parseTraceparent(text)).toEqual({ traceId, spanId, traceFlags: traceFlags & 1, isRemote: true });
});

it('writes nothing where there is no span', () => {
  expect(formatTraceparent(undefined)).toBeUndefined();
  expect(formatTraceparent({ traceId: '0'.repeat(32), spanId, traceFlags: 1 })).toBeUndefined();
  expect(formatTraceparent({ traceId, spanId: '0'.repeat(16), traceFlags: 1 })).toBeUndefined();
});

describe('what comes out of Redis', () => {
  it.each([
    [undefined],
    [''],
    [`00-${traceId}-${spanId}`],
    [`ff-${traceId}-${spanId}-01`],
    [`00-${'0'.repeat(32)}-${spanId}-01`],
    [`00-${traceId}-${'0'.repeat(16)}-01`],
    [`00-${traceId.toUpperCase()}-${spanId}-01`],
    [`00-${traceId}-${spanId}-01-and more`],
    [`${'00-'.repeat(10_000)}${traceId}-${spanId}-01`],
  ])('(%s) is no place in a trace', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
