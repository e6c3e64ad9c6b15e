/** The prefixes of keys to be tracked, in the form a server takes. */

/** Redis refuses prefixes of which one begins with the other; the shorter one covers both. */
export function withoutCovered(prefixes: readonly string[]): readonly string[] {
  const distinct = [...new Set(prefixes)];
  if (distinct.length === 0 || distinct.includes('')) {
    throw new RangeError(
      'track: a prefix is needed, and an empty one would announce every key of the server',
    );
  }
  return distinct.filter((one) => !distinct.some((other) => other !== one && one.startsWith(other)));
}
