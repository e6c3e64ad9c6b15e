export { RedisConsoleModule, type RedisConsoleModuleOptions } from './console.module.js';
export {
  ConsoleAssetsMissingError,
  ConsoleUnguardedError,
  InvalidConsoleOptionsError,
} from './console.errors.js';
export {
  CONSOLE_DEFAULTS,
  resolveConsole,
  type ConsoleOptions,
  type ResolvedConsole,
} from './console.options.js';
export type {
  CacheKind,
  CacheRef,
  ConfigRow,
  ConsoleSource,
  Fact,
  FleetLine,
  Happening,
  KeyList,
  KeyReading,
  ShardRemoval,
} from './console.source.js';
export { CONSOLE_SOURCE } from './console.tokens.js';
export { RedisConsole, type RedisConsoleParts } from './redis-console.js';
