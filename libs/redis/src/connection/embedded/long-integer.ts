/**
 * Signed 64-bit integers as Redis reads and writes them: strict decimal without sign, space or leading zero.
 * Held as a `number` where that is exact, else as a `bigint`.
 */

export type LongInteger = number | bigint;

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;
const STRICT_DECIMAL = /^(?:0|-?[1-9][0-9]{0,18})$/u;
/** So many characters are within 2^53, sign included. */
const SURELY_SAFE = 15;

/** `undefined` for everything Redis calls "not an integer or out of range". */
export function parseLong(text: string): LongInteger | undefined {
  if (!STRICT_DECIMAL.test(text)) return undefined;
  if (text.length <= SURELY_SAFE) return Number(text);
  return within(BigInt(text));
}

/** `undefined` when the sum leaves 64 bits. */
export function addLongs(left: LongInteger, right: LongInteger): LongInteger | undefined {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return within(BigInt(left) + BigInt(right));
}

/** `undefined` for the lowest integer, which has no counterpart. */
export function negateLong(value: LongInteger): LongInteger | undefined {
  return typeof value === 'number' ? 0 - value : within(-value);
}

function within(value: bigint): LongInteger | undefined {
  if (value < LOWEST || value > HIGHEST) return undefined;
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}
