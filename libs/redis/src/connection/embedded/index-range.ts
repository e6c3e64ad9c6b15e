/** Ranges by index as LRANGE, LTRIM and ZRANGE take them: inclusive, negative from the end. */

export interface IndexRange {
  readonly start: number;
  /** Exclusive; equal to `start` when nothing is in the range. */
  readonly end: number;
}

export function clampRange(first: number, last: number, size: number): IndexRange {
  const start = first < 0 ? Math.max(size + first, 0) : first;
  const end = Math.min(last < 0 ? size + last : last, size - 1) + 1;
  return start >= end ? { start: size, end: size } : { start, end };
}
