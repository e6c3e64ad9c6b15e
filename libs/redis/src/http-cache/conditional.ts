/** Whether the client has the answer already (RFC 9110, section 13). */
import { requestHeader, type RequestHeaders } from './exchange.js';
import type { StoredAnswer } from './stored-answer.js';

/** For GET and HEAD. `If-None-Match` counts before `If-Modified-Since`. */
export function isNotModified(request: RequestHeaders, answer: StoredAnswer): boolean {
  const tags = requestHeader(request, 'if-none-match');
  if (tags !== undefined) return matches(tags, answer.etag);
  const since = requestHeader(request, 'if-modified-since');
  if (since === undefined) return false;
  const modified = answer.headers.find(([name]) => name === 'last-modified')?.[1];
  if (modified === undefined) return false;
  return Date.parse(modified) <= Date.parse(since);
}

/** Weak comparison: `W/` makes no difference. Proxies that compress make tags weak. */
export function matches(list: string, etag: string): boolean {
  // As a browser sends it.
  if (list === etag || list.trim() === '*') return true;
  const wanted = opaque(etag);
  return (list.match(/(?:W\/)?"[^"]*"/gu) ?? []).some((tag) => opaque(tag) === wanted);
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
