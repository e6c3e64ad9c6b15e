/**
 * MessagePack by way of `msgpackr`, an optional peer that is loaded only when this is called. Smaller and, for
 * large values, faster than JSON; not readable in Redis, and without the guards of the JSON reader: hence it
 * reads encrypted values only, unless you write out that whoever can write to your Redis is trusted.
 */
import { InvalidCodecOptionsError, UnserializableValueError } from './codec.errors.js';
import type { Serializer } from './codec.js';

export interface MsgpackOptions {
  /** Read values whose author is not proven by encryption. @default false */
  trustStore?: boolean | undefined;
  /** How the package is loaded; a test hands in its own. @default import('msgpackr') */
  load?: (() => Promise<unknown>) | undefined;
}

interface Packr {
  pack(value: unknown): Buffer;
  unpack(bytes: Buffer): unknown;
}

type PackrConstructor = new (options: Readonly<Record<string, unknown>>) => Packr;

/** Maps, sets and typed arrays are kept; shared structures are not used, so every value stands on its own. */
const PACKR_OPTIONS = {
  useRecords: true,
  moreTypes: true,
  structuredClone: false,
  useBigIntExtension: true,
} as const;

const PACKAGE: string = 'msgpackr';

/** @example createCodec({ serializer: await loadMsgpackSerializer(), encryption }) */
export async function loadMsgpackSerializer(options: MsgpackOptions = {}): Promise<Serializer> {
  const packr = await loadPackr(options.load ?? (() => import(PACKAGE) as Promise<unknown>));
  return {
    id: 2,
    name: 'msgpackr',
    authenticatedOnly: options.trustStore !== true,
    serialize(value) {
      try {
        return packr.pack(value);
      } catch {
        // Its messages may quote the value.
        throw new UnserializableValueError('msgpackr can not store this value', {
          hint: 'functions, symbols and very deep values can not be stored',
        });
      }
    },
    deserialize: (bytes) => packr.unpack(bytes),
  };
}

async function loadPackr(load: () => Promise<unknown>): Promise<Packr> {
  let loaded: unknown;
  try {
    loaded = await load();
  } catch (error) {
    throw new InvalidCodecOptionsError("serializer: the package 'msgpackr' is not installed", {
      hint: "run `npm install msgpackr`, or use serializer: 'json'",
      cause: error,
    });
  }
  const constructor: unknown =
    typeof loaded === 'object' && loaded !== null ? Reflect.get(loaded, 'Packr') : undefined;
  if (typeof constructor !== 'function') {
    throw new InvalidCodecOptionsError("serializer: the package 'msgpackr' has no Packr", {
      hint: 'version 1.10 or later is needed',
    });
  }
  return new (constructor as PackrConstructor)(PACKR_OPTIONS);
}
