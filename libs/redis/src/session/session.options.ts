import { parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidSessionOptionsError } from './session.errors.js';

export interface SessionCookieOptions {
  /** @default '__Host-sid' with `secure`, `path: '/'` and no domain; else 'sid' */
  readonly name?: string | undefined;
  /** Sent over TLS only; `'auto'` sets it where the request came over TLS. @default true in production, else 'auto' */
  readonly secure?: boolean | 'auto' | undefined;
  /** @default 'lax' */
  readonly sameSite?: 'lax' | 'strict' | 'none' | undefined;
  /** @default '/' */
  readonly path?: string | undefined;
  /** @default the host of the request, and no other */
  readonly domain?: string | undefined;
  /** Gone when the browser closes; `false` keeps it as long as the session may last. @default false */
  readonly transient?: boolean | undefined;
}

export interface SessionOptions {
  /** It ends when nobody used it for this long. @default REDIS_SESSION_TTL, else '24h' */
  readonly idle?: Duration | undefined;
  /** It ends after this in any case; `'never'` for no such end. @default '30d' */
  readonly absolute?: Duration | 'never' | undefined;
  /** So many sessions a user may have at once; `'unlimited'`. @default 'unlimited' */
  readonly maxPerUser?: number | 'unlimited' | undefined;
  /** One more: the least recently used goes, or the new one is refused. @default 'evict' */
  readonly onTooMany?: 'evict' | 'refuse' | undefined;
  /**
   * Two requests change one session at the same time: fields both changed keep the later value (`'merge'`), or the later
   * save rejects with `SessionConflictError` (`'refuse'`). @default 'merge'
   */
  readonly conflict?: 'merge' | 'refuse' | undefined;
  /**
   * For requests that are under way: after a rotation the old id opens the session for this long, and after a login or a
   * logout it is known for as long that it must not begin another one. @default '20s'
   */
  readonly rotationGrace?: Duration | undefined;
  readonly cookie?: SessionCookieOptions | undefined;
}

export interface ResolvedSession {
  readonly idleMs: number;
  /** 0 for none. */
  readonly absoluteMs: number;
  /** 0 for no limit. */
  readonly maxPerUser: number;
  readonly onTooMany: 'evict' | 'refuse';
  readonly conflict: 'merge' | 'refuse';
  readonly graceMs: number;
  readonly cookie: ResolvedSessionCookie;
}

export interface ResolvedSessionCookie {
  readonly name: string;
  readonly secure: boolean | 'auto';
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly path: string;
  readonly domain: string | undefined;
  readonly transient: boolean;
}

export const SESSION_DEFAULTS = {
  idle: '1d',
  absolute: '30d',
  maxPerUser: 'unlimited',
  onTooMany: 'evict',
  conflict: 'merge',
  rotationGrace: '20s',
} as const satisfies SessionOptions;

/** RFC 6265: a token. */
const COOKIE_NAME = /^[!#$%&'*+\-.^`|~\w]+$/u;

/** `production` decides about the cookie: there it is sent over TLS only. */
export function resolveSession(options: SessionOptions = {}, production = false): ResolvedSession {
  const idleMs = parsePositiveDuration(options.idle ?? SESSION_DEFAULTS.idle, 'session.idle');
  const absoluteMs = resolveAbsolute(options.absolute ?? SESSION_DEFAULTS.absolute);
  if (absoluteMs !== 0 && absoluteMs < idleMs) {
    throw new InvalidSessionOptionsError('session.absolute is shorter than session.idle', {
      hint: 'idle could never end a session then; lower idle or raise absolute',
    });
  }
  const most = options.maxPerUser ?? SESSION_DEFAULTS.maxPerUser;
  return {
    idleMs,
    absoluteMs,
    maxPerUser: most === 'unlimited' ? 0 : count(most),
    onTooMany: oneOf(options.onTooMany ?? SESSION_DEFAULTS.onTooMany, ['evict', 'refuse'], 'onTooMany'),
    conflict: oneOf(options.conflict ?? SESSION_DEFAULTS.conflict, ['merge', 'refuse'], 'conflict'),
    graceMs: parsePositiveDuration(
      options.rotationGrace ?? SESSION_DEFAULTS.rotationGrace,
      'session.rotationGrace',
    ),
    cookie: resolveCookie(options.cookie ?? {}, production),
  };
}

function resolveAbsolute(absolute: Duration | 'never'): number {
  return absolute === 'never' ? 0 : parsePositiveDuration(absolute, 'session.absolute');
}

function resolveCookie(options: SessionCookieOptions, production: boolean): ResolvedSessionCookie {
  const {
    domain,
    path = '/',
    sameSite = 'lax',
    secure = production ? true : 'auto',
    transient = false,
  } = options;
  const hostOnly = secure === true && path === '/' && domain === undefined;
  const name = options.name ?? (hostOnly ? '__Host-sid' : 'sid');
  if (!COOKIE_NAME.test(name))
    throw new InvalidSessionOptionsError('session.cookie.name: not a name of a cookie');
  if (name.startsWith('__Host-') && !hostOnly) {
    throw new InvalidSessionOptionsError(
      "session.cookie.name: browsers refuse a '__Host-' cookie like this",
      {
        hint: "it needs secure: true, path: '/' and no domain",
      },
    );
  }
  if (sameSite === 'none' && secure !== true) {
    throw new InvalidSessionOptionsError("session.cookie.sameSite: 'none' needs secure: true", {
      hint: 'browsers refuse the cookie otherwise',
    });
  }
  return {
    name,
    secure,
    sameSite: oneOf(sameSite, ['lax', 'strict', 'none'], 'cookie.sameSite'),
    path,
    domain,
    transient,
  };
}

function oneOf<const Choice extends string>(value: Choice, choices: readonly Choice[], name: string): Choice {
  if (choices.includes(value)) return value;
  throw new InvalidSessionOptionsError(`session.${name}: '${value}' is not one of ${choices.join(', ')}`);
}

function count(value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidSessionOptionsError(`session.maxPerUser: ${value} is not a whole number above 0`, {
    hint: "write 'unlimited' for no limit",
  });
}
