/** Options of the JSON serializer. */
import { ClassRegistry } from './class-registry.js';
import { InvalidCodecOptionsError } from './codec.errors.js';

export interface JsonOptions {
  /** Classes whose instances come back as instances. @default none */
  classes?: ClassRegistry | undefined;
  /** Brackets that may stand inside each other, when writing and when reading. @default 100 */
  maxDepth?: number | undefined;
  /** Size of the text in bytes, when writing and when reading. @default 1_048_576 */
  maxBytes?: number | undefined;
  /**
   * A property named `__proto__`: kept as an ordinary own property, or refused when writing and when reading.
   * It never reaches a prototype either way. @default 'keep'
   */
  protoKeys?: 'keep' | 'refuse' | undefined;
}

export interface ResolvedJson {
  readonly classes: ClassRegistry;
  readonly maxDepth: number;
  readonly maxBytes: number;
  readonly protoKeys: 'keep' | 'refuse';
}

export const JSON_DEFAULTS = { maxDepth: 100, maxBytes: 1_048_576, protoKeys: 'keep' } as const;

/** Deeper than this, walking the value could exhaust the stack of the process. */
const DEEPEST = 1_000;

export function resolveJson(options: JsonOptions = {}): ResolvedJson {
  const maxDepth = options.maxDepth ?? JSON_DEFAULTS.maxDepth;
  const maxBytes = options.maxBytes ?? JSON_DEFAULTS.maxBytes;
  const protoKeys = options.protoKeys ?? JSON_DEFAULTS.protoKeys;
  if (!Number.isInteger(maxDepth) || maxDepth < 1 || maxDepth > DEEPEST) {
    throw new InvalidCodecOptionsError(
      `maxDepth: ${String(maxDepth)} is not a whole number from 1 to ${DEEPEST}`,
    );
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    throw new InvalidCodecOptionsError(`maxBytes: ${String(maxBytes)} is not a positive whole number`);
  }
  if (protoKeys !== 'keep' && protoKeys !== 'refuse') {
    throw new InvalidCodecOptionsError(`protoKeys: ${String(protoKeys)} is neither 'keep' nor 'refuse'`);
  }
  return { classes: options.classes ?? new ClassRegistry(), maxDepth, maxBytes, protoKeys };
}
