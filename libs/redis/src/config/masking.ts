/**
 * How a wrong value is shown. The reader has to recognise what was typed, and whoever finds the log may not
 * learn a password: so each text is cleaned where it is built, and once more, against every secret that was
 * given anywhere, before it leaves (`redact`).
 */
import type { Fault } from './invalid-config.error.js';

const LONGEST_SHOWN = 60;
/** Shorter ones are not searched for: taking every `'a'` out of a message would hide nothing and spoil it. */
const SHORTEST_SECRET = 4;
const MASK = '***';

/** A value as a message may quote it: `'99999'`, `70000`, `an object`. */
export function show(value: unknown): string {
  // A URL may turn up in any place by mistake, with its password.
  if (typeof value === 'string') {
    return /:\/\/|@/u.test(value) ? showUrl(value) : `'${shorten(printable(value))}'`;
  }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  return kindOf(value);
}

/** What sort of thing it is, where the thing itself may not be shown. */
export function kindOf(value: unknown): string {
  if (value === '') return 'an empty text';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/**
 * A connection string that could not be read. Only what is certainly an address is shown: without structure
 * there is no telling where the password is, so then only its scheme and its length are.
 */
export function showUrl(text: string): string {
  const [, scheme = '', rest = text] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/isu.exec(text.trim()) ?? [];
  const at = rest.lastIndexOf('@');
  const address = rest.slice(at + 1).split(/[?#]/u, 1)[0] ?? '';
  const user = at === -1 ? '' : `${MASK}@`;
  const known = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:\/\d{0,5})?$/iu.test(address);
  // Without scheme and '@', one bare word is as likely a password in the wrong variable as a host.
  if (known && (scheme !== '' || address.includes(':'))) return `'${scheme}${user}${address}'`;
  return user === '' ? `a text of ${text.length} characters${schemeNote(scheme)}` : `'${scheme}${user}…'`;
}

/** Faults without any of the secrets that were given, whatever put them into the text. */
export function redact(faults: readonly Fault[], secrets: Iterable<string>): readonly Fault[] {
  // Longest first, or a secret that contains another one would leave its tail behind.
  const found = [...new Set(secrets)]
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .toSorted((a, b) => b.length - a.length);
  const clean = (text: string): string => found.reduce((rest, secret) => rest.replaceAll(secret, MASK), text);
  return faults.map(({ where, problem, hint }) => ({
    where: clean(where),
    problem: clean(problem),
    ...(hint === undefined ? {} : { hint }),
  }));
}

function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\u{FFFD}');
}

function shorten(text: string): string {
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
}

function schemeNote(scheme: string): string {
  return scheme === '' ? '' : ` that begins with ${scheme}`;
}
