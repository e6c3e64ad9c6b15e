/**
 * JSON text to value. Text without a tag is what `JSON.parse` makes of it; the walk that revives tags runs only
 * when the text holds one. Depth and size are judged before parsing, so a hostile text costs a scan at most.
 *
 * `JSON.parse` defines `__proto__` as a property of its own and never touches a prototype; nothing here assigns
 * to a property that is not there already.
 */
import { types } from 'node:util';
import type { ClassRegistry } from './class-registry.js';
import { UnreadableValueError } from './codec.errors.js';
import type { ResolvedJson } from './json.options.js';
import { bytesFromTag, isTagKey, LONGEST_BIGINT, TAG } from './json-tags.js';

const NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
};

export function parseTagged(text: string, limits: ResolvedJson): unknown {
  if (text.length > limits.maxBytes) {
    throw new UnreadableValueError(`the stored text is longer than ${limits.maxBytes} bytes`, {
      details: { maxBytes: limits.maxBytes },
    });
  }
  if (nestsDeeperThan(text, limits.maxDepth)) {
    throw new UnreadableValueError(`the stored text is nested deeper than ${limits.maxDepth} levels`);
  }
  const parsed = parse(text);
  if (limits.protoKeys === 'refuse' && maySpellProto(text)) refuseProto(parsed);
  return text.includes(TAG) ? revive(parsed, limits.classes) : parsed;
}

/** True when the brackets of the text nest deeper than `limit`; strings do not count. */
export function nestsDeeperThan(text: string, limit: number): boolean {
  // Text that nests deeper has more than `limit` opening and as many closing brackets.
  if (text.length < 2 * (limit + 1) || countOpening(text, limit) <= limit) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > limit) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      default:
    }
  }
  return false;
}

/** Opening brackets anywhere in the text: the native search skips what lies between. Stops at `limit + 1`. */
function countOpening(text: string, limit: number): number {
  const braces = count(text, '{', limit);
  return braces > limit ? braces : braces + count(text, '[', limit);
}

function count(text: string, bracket: string, limit: number): number {
  let found = 0;
  for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
    found += 1;
    if (found > limit) break;
  }
  return found;
}

/** Index of the closing quote, or of the end of the text when there is none. */
function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at;
    if (code === 0x5c) at += 1;
  }
  return text.length;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The engine's own message quotes the text, so it is not kept as cause.
    throw new UnreadableValueError('the stored text is not JSON', {
      hint: 'something else may have written to this key',
    });
  }
}

function revive(node: unknown, classes: ClassRegistry): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) {
    for (let index = 0; index < node.length; index += 1) node[index] = revive(node[index], classes);
    return node;
  }
  const record = node as Record<string, unknown>;
  const keys = Object.keys(record);
  const [first] = keys;
  if (keys.length === 1 && first !== undefined && isTagKey(first)) {
    return untag(first.slice(TAG.length), record[first], classes);
  }
  for (const key of keys) {
    const child = record[key];
    if (typeof child !== 'object' || child === null) continue;
    const value = revive(child, classes);
    if (value !== child) Object.defineProperty(record, key, { ...WRITABLE, value });
  }
  return record;
}

const WRITABLE = { enumerable: true, configurable: true, writable: true } as const;

function untag(name: string, data: unknown, classes: ClassRegistry): unknown {
  if (isTagKey(name)) return Object.fromEntries([[name, revive(data, classes)]]);
  switch (name) {
    case 'Date':
      return reviveDate(data);
    case 'number':
      return typeof data === 'string' && Object.hasOwn(NUMBERS, data) ? NUMBERS[data] : unreadable(name);
    case 'undefined':
      return undefined;
    case 'bigint':
      return reviveBigint(data);
    case 'URL':
      return typeof data === 'string' && URL.canParse(data) ? new URL(data) : unreadable(name);
    case 'Set':
      return new Set(Array.isArray(data) ? data.map((item) => revive(item, classes)) : unreadable(name));
    case 'Map':
      return reviveMap(data, classes);
    case 'class':
      return reviveClass(data, classes);
    default:
      return bytesFromTag(name, data) ?? unreadable(name);
  }
}

function reviveDate(data: unknown): Date {
  if (data === null) return new Date(Number.NaN);
  const date = new Date(typeof data === 'string' ? data : Number.NaN);
  return Number.isNaN(date.getTime()) ? unreadable('Date') : date;
}

function reviveBigint(data: unknown): bigint {
  if (typeof data !== 'string' || data.length > LONGEST_BIGINT || !/^-?\d+$/u.test(data))
    return unreadable('bigint');
  return BigInt(data);
}

function reviveMap(data: unknown, classes: ClassRegistry): Map<unknown, unknown> {
  if (!Array.isArray(data)) return unreadable('Map');
  const map = new Map<unknown, unknown>();
  const pairs: unknown[] = data;
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) return unreadable('Map');
    map.set(revive(pair[0], classes), revive(pair[1], classes));
  }
  return map;
}

function reviveClass(data: unknown, classes: ClassRegistry): unknown {
  if (!Array.isArray(data) || data.length !== 2) return unreadable('class');
  const pair: unknown[] = data;
  const [name, stored] = pair;
  const registered = typeof name === 'string' ? classes.named(name) : undefined;
  if (registered === undefined) {
    throw new UnreadableValueError('the stored text holds an instance of a class that is not registered', {
      hint: 'register it under the name it was stored with (docs/codec.md)',
    });
  }
  const value = revive(stored, classes);
  try {
    return registered.fromJSON(value);
  } catch {
    // What a user's own fromJSON throws may quote the data.
    throw new UnreadableValueError(`fromJSON of the registered class '${registered.name}' threw`);
  }
}

function unreadable(name: string): never {
  const shown = /^[A-Za-z]\w{0,20}$/u.test(name) ? name : 'unknown';
  throw new UnreadableValueError(`the stored text holds a '${TAG}${shown}' tag that can not be read`, {
    hint: 'a newer version may have written it, or another program',
  });
}

/** False when no key can be `__proto__`: it is neither written out nor spelt with \u escapes. */
function maySpellProto(text: string): boolean {
  return text.includes('"__proto__"') || text.includes('\\u00');
}

function refuseProto(node: unknown): void {
  if (typeof node !== 'object' || node === null || types.isProxy(node)) return;
  if (Object.hasOwn(node, '__proto__')) {
    throw new UnreadableValueError('the stored text holds a property named __proto__');
  }
  for (const child of Object.values(node)) refuseProto(child);
}
