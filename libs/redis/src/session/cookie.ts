/** The one cookie of a session: read from a request, written into an answer. RFC 6265. */
import type { ResolvedSession } from './session.options.js';

/** Browsers keep no cookie longer than 400 days. */
const LONGEST_COOKIE_S = 400 * 86_400;

/** Of several with that name the first counts, which is the most specific one. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const part of header.split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return unquoted(part.slice(at + 1).trim());
  }
  return undefined;
}

/** `Set-Cookie` for an id; without one it takes the cookie back. */
export function writeCookie(id: string | undefined, settings: ResolvedSession, overTls: boolean): string {
  const { name, path, domain, sameSite, secure, transient } = settings.cookie;
  const parts = [`${name}=${id ?? ''}`, `Path=${path}`];
  if (domain !== undefined) parts.push(`Domain=${domain}`);
  if (id === undefined) parts.push('Max-Age=0');
  else if (!transient) parts.push(`Max-Age=${lifeOf(settings)}`);
  parts.push('HttpOnly', `SameSite=${sameSite.charAt(0).toUpperCase()}${sameSite.slice(1)}`);
  if (secure === true || (secure === 'auto' && overTls)) parts.push('Secure');
  return parts.join('; ');
}

/** Redis ends the session when it is idle; the cookie only has to last as long as it may. */
function lifeOf({ absoluteMs }: ResolvedSession): number {
  if (absoluteMs === 0) return LONGEST_COOKIE_S;
  return Math.min(LONGEST_COOKIE_S, Math.ceil(absoluteMs / 1_000));
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
