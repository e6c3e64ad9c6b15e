/** Random choices that a seed repeats, so that a run that failed can be run again. */

export interface Random {
  readonly seed: number;
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  oneOf<T>(choices: readonly [T, ...T[]]): T;
  /** As many as drawn between `min` and `max`. */
  listOf<T>(size: readonly [min: number, max: number], draw: () => T): T[];
}

/** By mulberry32: small, fast, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    seed,
    integer,
    oneOf: (choices) => choices[integer(0, choices.length - 1)] ?? choices[0],
    listOf: ([min, max], draw) => Array.from({ length: integer(min, max) }, draw),
  };
}
