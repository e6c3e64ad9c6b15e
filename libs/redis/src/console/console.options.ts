/** Options of the console: what users write, what it works with, and the one way from one to the other. */
import { ConsoleUnguardedError, InvalidConsoleOptionsError } from './console.errors.js';

export interface ConsoleOptions {
  /** Where the page lies, below the application's own prefix. @default 'redis-console' */
  readonly path?: string | undefined;
  /**
   * A secret of at least 16 characters. Browsers ask for it as a password (any user name), programs send it as
   * `Authorization: Bearer …`. @default none
   */
  readonly token?: string | undefined;
  /** Without token and guards only requests of this machine are answered; `true` answers everybody. @default false */
  readonly allowRemote?: boolean | undefined;
  /** Names of keys may be listed by prefix. A single key can be asked about in any case. @default false */
  readonly browseKeys?: boolean | undefined;
  /** The value of a key that is asked about is shown, cut at 4 KiB. Asking counts as a read. @default false */
  readonly showValues?: boolean | undefined;
  /** Asks the other processes for what they see, by pub/sub. @default true */
  readonly fleet?: boolean | undefined;
  /** Shown at the top, so that nobody takes one environment for another. @default the namespace */
  readonly title?: string | undefined;
  /** Pages that are kept up to date at once by one process; more of them ask again and again. @default 20 */
  readonly maxStreams?: number | undefined;
}

export interface ResolvedConsole {
  readonly path: string;
  readonly token: string | undefined;
  /** Nothing but the address of the client protects it. */
  readonly loopbackOnly: boolean;
  readonly browseKeys: boolean;
  readonly showValues: boolean;
  readonly fleet: boolean;
  readonly title: string | undefined;
  readonly maxStreams: number;
}

export const CONSOLE_DEFAULTS = {
  path: 'redis-console',
  maxStreams: 20,
} as const satisfies ConsoleOptions;

const SHORTEST_TOKEN = 16;
const MOST_STREAMS = 1_000;

/** @param guarded guards of the application stand in front of it */
export function resolveConsole(options: ConsoleOptions, guarded: boolean): ResolvedConsole {
  const { token, maxStreams = CONSOLE_DEFAULTS.maxStreams, title } = options;
  if (token !== undefined && (typeof token !== 'string' || token.length < SHORTEST_TOKEN)) {
    throw new InvalidConsoleOptionsError(`console.token is shorter than ${SHORTEST_TOKEN} characters`, {
      hint: 'take a random one: openssl rand -base64 24',
    });
  }
  if (!Number.isInteger(maxStreams) || maxStreams < 0 || maxStreams > MOST_STREAMS) {
    throw new InvalidConsoleOptionsError(
      `console.maxStreams: ${String(maxStreams)} is not a whole number from 0 to ${MOST_STREAMS}`,
    );
  }
  return {
    path: (options.path ?? CONSOLE_DEFAULTS.path).replace(/^\/+|\/+$/gu, ''),
    token,
    loopbackOnly: token === undefined && !guarded && options.allowRemote !== true,
    browseKeys: options.browseKeys ?? false,
    showValues: options.showValues ?? false,
    fleet: options.fleet ?? true,
    title,
    maxStreams,
  };
}

/** The page tells how an application is built: in production somebody has to have said who may see it. */
export function assertGuarded({ token }: ResolvedConsole, guarded: boolean, production: boolean): void {
  if (!production || guarded || token !== undefined) return;
  throw new ConsoleUnguardedError('NODE_ENV is production, and nothing protects the Redis console', {
    hint:
      'RedisConsoleModule.forRoot({ guards: [AdminGuard] }), or { token: process.env.CONSOLE_TOKEN }; ' +
      'or do not import the module there',
  });
}
