/** Who may see the page, besides what guards of the application decide. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ResolvedConsole } from './console.options.js';
import type { Refusal } from './exchange.js';

/** A proxy on this machine makes everybody look local; it usually says that it is one. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];
const LOCAL_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/iu;
const LOCAL_ADDRESS = /^(?:::ffff:)?127(?:\.\d{1,3}){3}$|^::1$/u;

/** Undefined when the request may be answered. */
export function refusalOf(
  request: IncomingMessage,
  { token, loopbackOnly }: ResolvedConsole,
  navigation: boolean,
): Refusal | undefined {
  if (isForeign(request, navigation)) {
    return { status: 403, code: 'FOREIGN_ORIGIN', message: 'asked for by a page of another origin' };
  }
  if (token !== undefined && !carries(request, token)) {
    return {
      status: 401,
      code: 'TOKEN_NEEDED',
      message: 'the console wants its token: as the password, or as a bearer token',
      headers: { 'www-authenticate': 'Basic realm="Redis console", charset="UTF-8"' },
    };
  }
  if (loopbackOnly && !isLocal(request)) {
    return {
      status: 403,
      code: 'LOOPBACK_ONLY',
      message: 'without guards and token the console answers requests of this machine only',
      hint: 'RedisConsoleModule.forRoot({ guards: […] }), or { token: … }, or { allowRemote: true }',
    };
  }
  return undefined;
}

/**
 * A page elsewhere that makes a browser ask with the rights of the one who sits before it. Browsers say so
 * themselves; a link to the page from elsewhere is how people get here.
 */
function isForeign({ headers }: IncomingMessage, navigation: boolean): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  return !(navigation && headers['sec-fetch-mode'] === 'navigate');
}

/** Resolving a name to 127.0.0.1 makes a page elsewhere same-origin; the name still stands in `Host`. */
function isLocal({ headers, socket }: IncomingMessage): boolean {
  if (FORWARDED.some((name) => headers[name] !== undefined)) return false;
  return LOCAL_ADDRESS.test(socket.remoteAddress ?? '') && LOCAL_HOST.test(headers.host ?? '');
}

function carries({ headers }: IncomingMessage, token: string): boolean {
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+)$/u.exec(headers.authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return same(credentials, token);
  if (scheme.toLowerCase() !== 'basic') return false;
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  return same(decoded.slice(decoded.indexOf(':') + 1), token);
}

/** Digests are of one length, so how long it takes tells nothing. */
function same(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
