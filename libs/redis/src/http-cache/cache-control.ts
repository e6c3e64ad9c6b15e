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

/** What a client asks of a stored answer (RFC 9111, section 5.2.1), in seconds. */
export interface Wishes {
  /** It has to be made anew. */
  readonly revalidate: boolean;
  /** Stored, or nothing. */
  readonly only: boolean;
  /** The oldest that will do. */
  readonly maxAgeS: number;
  /** How long it has to stay fresh. */
  readonly minFreshS: number;
  /** For how long it may have been stale. */
  readonly maxStaleS: number;
}

export function wishesOf(directives: ReadonlyMap<string, string>): Wishes {
  const maxAgeS = secondsOf(directives.get('max-age')) ?? Infinity;
  const stale = directives.get('max-stale');
  return {
    revalidate: directives.has('no-cache') || maxAgeS === 0,
    only: directives.has('only-if-cached'),
    maxAgeS,
    minFreshS: secondsOf(directives.get('min-fresh')) ?? 0,
    // Without a number however stale (section 5.2.1.2).
    maxStaleS: stale === '' ? Infinity : (secondsOf(stale) ?? 0),
  };
}

/** What is no number is as good as not said. */
function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/u.test(text) ? Number(text) : undefined;
}
