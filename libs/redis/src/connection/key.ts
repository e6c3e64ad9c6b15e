/**
 * Keys from data. Segments are escaped, so that what a user typed can neither forge another key, nor act as a
 * pattern in a SCAN, nor choose its slot in a cluster.
 */

/** One string, taken as it is, or segments that are escaped and joined: `['books', userId]`. */
export type Key = string | readonly (string | number)[];

/** What must not stand unescaped in a segment: separators, hash tags, the escape sign and control characters. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[%:{}\u0000-\u001f\u007f]/u;
// eslint-disable-next-line no-control-regex -- as above
const EACH_UNSAFE = /[%:{}\u0000-\u001f\u007f]/gu;

export function toKey(key: Key): string {
  return typeof key === 'string' ? key : key.map((segment) => escapeSegment(String(segment))).join(':');
}

export function escapeSegment(segment: string): string {
  // Most have nothing to escape, and looking costs a tenth of replacing.
  if (!UNSAFE.test(segment)) return segment;
  return segment.replace(
    EACH_UNSAFE,
    (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
}
