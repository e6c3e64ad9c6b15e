/**
 * The default serializer: JSON that stays readable in Redis (`5`, `"abc"`, `{"a":1}`) and keeps `Date`, `Map`,
 * `Set`, `BigInt`, bytes, `URL`, `NaN`, `±Infinity`, `-0` and registered classes by tags. See docs/codec.md.
 */
import type { Serializer } from './codec.js';
import { resolveJson, type JsonOptions } from './json.options.js';
import { parseTagged } from './json-decode.js';
import { stringifyTagged } from './json-encode.js';

export interface JsonSerializer extends Serializer {
  stringify(value: unknown): string;
  parse(text: string): unknown;
}

export function createJsonSerializer(options: JsonOptions = {}): JsonSerializer {
  const resolved = resolveJson(options);
  const stringify = (value: unknown): string => stringifyTagged(value, resolved);
  const parse = (text: string): unknown => parseTagged(text, resolved);
  return {
    id: 1,
    name: 'json',
    stringify,
    parse,
    serialize: stringify,
    deserialize: (bytes) => parse(bytes.toString('utf8')),
  };
}

/** JSON with the default limits and no registered classes. */
export const jsonSerializer: JsonSerializer = createJsonSerializer();

/**
 * Text for a value; throws {@link UnserializableValueError}.
 * @example encodeJson({ at: new Date(0) }) // '{"at":{"$:Date":"1970-01-01T00:00:00.000Z"}}'
 */
export function encodeJson(value: unknown): string {
  return jsonSerializer.stringify(value);
}

/** The value of a text that {@link encodeJson} wrote, or of any other JSON; throws {@link UnreadableValueError}. */
export function decodeJson(text: string): unknown {
  return jsonSerializer.parse(text);
}
