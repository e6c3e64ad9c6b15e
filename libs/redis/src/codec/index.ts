export { ClassRegistry, type ClassCodec } from './class-registry.js';
export type {
  Codec,
  CodecContext,
  CodecStats,
  CompressionName,
  DecodeContext,
  Decoded,
  EncodeContext,
  Entry,
  EntryHeader,
  Hit,
  Miss,
  MissReason,
  Peek,
  Serializer,
} from './codec.js';
export { InvalidCodecOptionsError, UnreadableValueError, UnserializableValueError } from './codec.errors.js';
export {
  CODEC_DEFAULTS,
  resolveCodec,
  type CodecOptions,
  type CompressionOptions,
  type EncryptionOptions,
  type ResolvedCodec,
} from './codec.options.js';
export { createCodec } from './create-codec.js';
export { createJsonSerializer, decodeJson, encodeJson, jsonSerializer, type JsonSerializer } from './json.js';
export type { JsonOptions } from './json.options.js';
export { KeyRing, type EncryptionKey } from './key-ring.js';
export { loadMsgpackSerializer, type MsgpackOptions } from './msgpack.js';
