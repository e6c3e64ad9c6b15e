/**
 * The one base of every error this package throws.
 *
 * An error is printed, logged and sent to trackers by people who never read it, so it may not carry a
 * value, a password or a command's arguments: not in `message`, not in `inspect()`, not in `toJSON()`, not
 * behind `cause`. Drivers hang the whole command on their errors (`err.command.args`), hence `safeCause`.
 */
import { inspect } from 'node:util';

export interface RedisModuleErrorOptions {
  /** What the reader can do about it, as one sentence. */
  hint?: string | undefined;
  /** The error that led here; it is stripped of everything but name, message and code. */
  cause?: unknown;
  /** Facts a program may branch on. Never a value or a whole key. */
  details?: Readonly<Record<string, string | number | boolean | null>> | undefined;
}

const BRAND = Symbol.for('anbar.redis-module-error');

export abstract class RedisModuleError extends Error {
  /** Stable: listed in docs/errors.md, safe to compare with. */
  abstract readonly code: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;

  constructor(message: string, options: RedisModuleErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: safeCause(options.cause) });
    this.name = new.target.name;
    this.hint = options.hint;
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  toJSON(): Record<string, unknown> {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(Object.keys(this.details).length === 0 ? {} : { details: this.details }),
      ...(this.cause instanceof Error ? { cause: `${this.cause.name}: ${this.cause.message}` } : {}),
    };
  }

  [inspect.custom](): string {
    const lines = [this.stack ?? `${this.name}: ${this.message}`, `  code: ${this.code}`];
    if (this.hint !== undefined) lines.push(`  hint: ${this.hint}`);
    for (const [name, value] of Object.entries(this.details)) lines.push(`  ${name}: ${String(value)}`);
    if (this.cause instanceof Error) lines.push(`  cause: ${this.cause.name}: ${this.cause.message}`);
    return lines.join('\n');
  }
}

/** True for every error of this package, also across two installed copies of it. */
export function isRedisModuleError(error: unknown): error is RedisModuleError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/**
 * A copy of an error that is fit to be printed. Redis quotes the arguments of a command it does not know
 * ("with args beginning with: ..."), so that part of a message is cut off too.
 */
export function safeCause(error: unknown): Error {
  if (isRedisModuleError(error)) return error;
  if (!(error instanceof Error)) return new Error(`a thrown ${error === null ? 'null' : typeof error}`);
  const copy = new Error(safeMessage(error.message));
  copy.name = error.name;
  if (error.stack !== undefined) copy.stack = `${copy.name}: ${copy.message}${stackFrames(error.stack)}`;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'string') Object.defineProperty(copy, 'code', { value: code, enumerable: true });
  return copy;
}

/** Removes what may quote a caller's data: command arguments and the user part of a connection string. */
export function safeMessage(message: string): string {
  return (
    message
      .replace(/,? with args beginning with:.*$/su, '')
      // Up to the last @: a password that was not percent-encoded may hold one, or a slash.
      .replace(/(rediss?:\/\/)\S*@/giu, '$1***@')
      .replace(/\s+/gu, ' ')
      .slice(0, 300)
  );
}

function stackFrames(stack: string): string {
  const first = stack.indexOf('\n    at ');
  return first === -1 ? '' : stack.slice(first);
}
