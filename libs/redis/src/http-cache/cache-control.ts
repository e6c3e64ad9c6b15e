/** Directives of `Cache-Control` (RFC 9111, section 5.2), as far as they are acted upon. */

/** Names in lower case, with their argument or an empty text. */
export function directivesOf(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', quoted, plain] of text.matchAll(
    /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/gu,
  )) {
    found.set(name.toLowerCase(), quoted ?? plain ?? '');
  }
  return found;
}

const NOTHING: ReadonlyMap<string, string> = new Map();

/** Of a request; `Pragma: no-cache` counts where there is no `Cache-Control`. */
export function requestDirectives(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): ReadonlyMap<string, string> {
  const control = headers['cache-control'];
  if (typeof control === 'string') return directivesOf(control);
  const pragma = headers['pragma'];
  return typeof pragma === 'string' ? directivesOf(pragma) : NOTHING;
}
