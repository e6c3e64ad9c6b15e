/**
 * A text that is the same for equal arguments and different for different ones. What could be equal to the eye and
 * different inside, as instances of classes and functions can, is refused: two calls would share one entry.
 */
import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { UnkeyableArgumentError } from './cacheable.errors.js';

/** A key longer than that stands there as its digest. */
const LONGEST_READABLE = 96;
const DEEPEST = 32;

/** Of the arguments of one call; trailing `undefined`s are no arguments. */
export function argumentsKey(args: readonly unknown[], method: string): string {
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count -= 1;
  if (count === 0) return '()';
  let text = '';
  for (let index = 0; index < count; index += 1) {
    const value = args[index];
    if (index > 0) text += ',';
    // Nearly every argument is one of these, and this is done for every hit.
    text += primitive(value) ?? canonical(value, { method, path: `argument ${index + 1}`, depth: 0 });
  }
  return bounded(text);
}

/** The text itself while it is short, and its SHA-256 otherwise; so is a text that looks like one of those. */
export function bounded(text: string, longest: number = LONGEST_READABLE): string {
  if (text.length <= longest && !text.startsWith('#')) return text;
  return `#${createHash('sha256').update(text).digest('base64url')}`;
}

interface Place {
  readonly method: string;
  readonly path: string;
  readonly depth: number;
}

function canonical(value: unknown, place: Place): string {
  if (typeof value === 'symbol' || typeof value === 'function')
    throw unkeyable(place, `is a ${typeof value}`);
  if (typeof value === 'object' && value !== null) return canonicalObject(value, place);
  return primitive(value) ?? '';
}

/** Undefined for what is none. */
function primitive(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Object.is(value, -0) ? '0' : String(value);
    case 'bigint':
      return `${value}n`;
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'object':
      return value === null ? 'null' : undefined;
    case 'symbol':
    case 'function':
      return undefined;
  }
}

function canonicalObject(value: object, place: Place): string {
  if (place.depth >= DEEPEST) throw unkeyable(place, 'is nested too deep, or holds itself');
  if (types.isProxy(value)) throw unkeyable(place, 'is a proxy');
  if (Array.isArray(value)) {
    refuseFields(value, place, value.length);
    return `[${Array.from(value as unknown[], (item, index) => canonical(item, below(place, `[${index}]`))).join(',')}]`;
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return `${value.constructor.name}(${createHash('sha256').update(bytes).digest('base64url')})`;
  }
  const text = builtIn(value, place);
  if (text === undefined) return canonicalRecord(value, place);
  refuseFields(value, place);
  return text;
}

/** Undefined for what is none. */
function builtIn(value: object, place: Place): string | undefined {
  if (types.isDate(value)) return `Date(${value.getTime()})`;
  if (value instanceof URL) return `URL(${JSON.stringify(value.href)})`;
  if (types.isMap(value)) {
    const pairs = Array.from(value, (pair) => canonical(pair, below(place, '{}')));
    return `Map(${pairs.join(',')})`;
  }
  if (types.isSet(value)) {
    return `Set(${Array.from(value, (item) => canonical(item, below(place, '{}'))).join(',')})`;
  }
  return undefined;
}

/** Of what is read by its contents: what a class of the application has added would not show in the key. */
function refuseFields(value: object, place: Place, contents = 0): void {
  if (Object.keys(value).length > contents) throw unkeyable(place, 'has fields of its own');
}

function canonicalRecord(value: object, place: Place): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw unkeyable(place, `is an instance of ${value.constructor?.name ?? 'a class'}`);
  }
  if (Object.getOwnPropertySymbols(value).length > 0)
    throw unkeyable(place, 'has properties named by symbols');
  const fields = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  const texts = fields.map(
    ([name, item]) => `${JSON.stringify(name)}:${canonical(item, below(place, `.${name}`))}`,
  );
  return `{${texts.join(',')}}`;
}

function below({ method, path, depth }: Place, step: string): Place {
  return { method, path: path + step, depth: depth + 1 };
}

function unkeyable({ method, path }: Place, problem: string): UnkeyableArgumentError {
  return new UnkeyableArgumentError(`${method}: ${path} ${problem}, so it can not stand in a cache key`, {
    hint: 'give the decorator a `key` function that names what the result depends on',
  });
}
