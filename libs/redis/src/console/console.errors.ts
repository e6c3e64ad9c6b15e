import { RedisModuleError } from '../core/index.js';

/** The console would stand open where it must not. */
export class ConsoleUnguardedError extends RedisModuleError {
  readonly code = 'CONSOLE_UNGUARDED';
}

export class InvalidConsoleOptionsError extends RedisModuleError {
  readonly code = 'INVALID_CONSOLE_OPTIONS';
}

/** The files of the page are not where the package has them. */
export class ConsoleAssetsMissingError extends RedisModuleError {
  readonly code = 'CONSOLE_ASSETS_MISSING';
}
