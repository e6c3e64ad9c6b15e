/**
 * The 80-bit floating point that `INCRBYFLOAT` and `HINCRBYFLOAT` reckon in: 64 bits of mantissa, rounded half
 * to even, printed with 17 decimals. With JavaScript's doubles 0.1 + 0.2 would not be the 0.3 Redis answers.
 *
 * A value is `mantissa * 2^exponent`, exactly.
 */

export interface LongDouble {
  readonly mantissa: bigint;
  readonly exponent: number;
}

const MANTISSA_BITS = 64;
const DECIMALS = 17;
const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/iu;
/** Powers of ten beyond this leave the 15 bits of the exponent. */
const HIGHEST_POWER = 4_932;
const LOWEST_POWER = -4_951;

/** `'infinite'` for the word, `undefined` for what is not a number or has no place in the format. */
export function parseLongDouble(text: string): LongDouble | 'infinite' | undefined {
  if (/^[+-]?inf(?:inity)?$/iu.test(text)) return 'infinite';
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', given = '0'] = match;
  const digits = `${whole}${fraction}`;
  if (digits === '') return undefined;
  const power = Number(given) - fraction.length;
  const significant = digits.replace(/^0+/u, '');
  if (significant === '') return { mantissa: 0n, exponent: 0 };
  const magnitude = significant.length + power;
  if (magnitude > HIGHEST_POWER || magnitude < LOWEST_POWER) return undefined;
  const integer = BigInt(significant) * (sign === '-' ? -1n : 1n);
  return power >= 0 ? rounded(integer * 10n ** BigInt(power), 0) : quotient(integer, 10n ** BigInt(-power));
}

export function addLongDoubles(left: LongDouble, right: LongDouble): LongDouble {
  const exponent = Math.min(left.exponent, right.exponent);
  const sum =
    (left.mantissa << BigInt(left.exponent - exponent)) +
    (right.mantissa << BigInt(right.exponent - exponent));
  return rounded(sum, exponent);
}

/** `%.17Lf` without the zeros at the end, as Redis stores it. */
export function formatLongDouble({ mantissa, exponent }: LongDouble): string {
  const scaled = mantissa * 10n ** BigInt(DECIMALS);
  const fixed = exponent >= 0 ? scaled << BigInt(exponent) : shiftRight(scaled, -exponent);
  const negative = fixed < 0n;
  const digits = String(negative ? -fixed : fixed).padStart(DECIMALS + 1, '0');
  const point = digits.length - DECIMALS;
  const text = `${digits.slice(0, point)}.${digits.slice(point)}`.replace(/\.?0+$/u, '');
  return negative ? `-${text}` : text;
}

/** The nearest value with 64 bits of mantissa. */
function rounded(mantissa: bigint, exponent: number): LongDouble {
  const surplus = bitLength(mantissa) - MANTISSA_BITS;
  if (surplus <= 0) return { mantissa, exponent };
  return { mantissa: shiftRight(mantissa, surplus), exponent: exponent + surplus };
}

/** `numerator / denominator`, rounded once: a sticky bit keeps ties from being seen where there are none. */
function quotient(numerator: bigint, denominator: bigint): LongDouble {
  const shift = Math.max(0, MANTISSA_BITS + 2 + bitLength(denominator) - bitLength(numerator));
  const dividend = numerator << BigInt(shift);
  const whole = dividend / denominator;
  const sticky = whole * denominator === dividend ? 0n : numerator < 0n ? -1n : 1n;
  return rounded(whole * 2n + sticky, -shift - 1);
}

/** Division by a power of two, half to even. */
function shiftRight(value: bigint, bits: number): bigint {
  const negative = value < 0n;
  const magnitude = negative ? -value : value;
  const floor = magnitude >> BigInt(bits);
  const rest = magnitude - (floor << BigInt(bits));
  const half = 1n << BigInt(bits - 1);
  const up = rest > half || (rest === half && (floor & 1n) === 1n);
  const result = up ? floor + 1n : floor;
  return negative ? -result : result;
}

function bitLength(value: bigint): number {
  return (value < 0n ? -value : value).toString(2).length;
}
