/** Doubles as C reads them (`strtod`) and as Redis 7.0 writes them (`%.17g`). */

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu;
const INFINITE = /^([+-]?)inf(?:inity)?$/iu;
const DIGITS = 17;

/** `undefined` for what is not a number, for NaN, and for what overflows or vanishes. */
export function parseDouble(text: string): number | undefined {
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (!DECIMAL.test(text)) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  // C reports an underflow to zero as an error; a zero that was written as such is none.
  return value === 0 && /[1-9]/u.test(text.replace(/e.*$/iu, '')) ? undefined : value;
}

export function formatDouble(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  if (Number.isSafeInteger(value)) return String(value);
  const [mantissa = '', power = '0'] = value.toExponential(DIGITS - 1).split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= DIGITS) return `${withoutZeros(mantissa)}e${signedPower(exponent)}`;
  return withoutZeros(value.toFixed(DIGITS - 1 - exponent));
}

function withoutZeros(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/u, '') : decimal;
}

/** C writes at least two digits. */
function signedPower(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
