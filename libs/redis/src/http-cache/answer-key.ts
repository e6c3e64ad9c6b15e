/** What an answer depends on, as a key. What could be read in two ways is left as it came: a miss more, no mix-up. */
import { bounded } from '../cache/index.js';
import { requestHeader, type Exchange } from './exchange.js';

const LONGEST_TARGET = 200;
const MOST_TARGETS = 2_000;

/** Headers by which a proxy says where a request came in: an answer may hold links made of them. */
export const ORIGIN_HEADERS = [
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-scheme',
  'x-forwarded-ssl',
  'x-forwarded-server',
  'x-original-host',
  'x-host',
  'front-end-https',
] as const;

/** Headers by which a request asks for something else than its first line says: such a request is not cached. */
export const OVERRIDES = [
  'x-original-url',
  'x-rewrite-url',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
] as const;

export type AnswerKey = readonly (string | number)[];

/** Path and query, the parameters in an order of their own. */
export class Targets {
  readonly #known = new Map<string, string>();

  of(url: string): string {
    const known = this.#known.get(url);
    if (known !== undefined) return known;
    const target = bounded(normalised(url), LONGEST_TARGET);
    if (this.#known.size >= MOST_TARGETS) this.#known.clear();
    this.#known.set(url, target);
    return target;
  }
}

/**
 * Keys of answers that depend on nothing but route, origin and URL: to put one together costs more than the hit. They
 * are frozen, so that the cache, too, makes its own key of them once.
 */
export class PlainKeys {
  readonly #byRoute = new Map<string, Map<string, Map<string, AnswerKey>>>();
  #count = 0;

  /** `target` is what has come of a URL, as `Targets` has it. */
  of(route: string, origin: string, target: string): AnswerKey {
    return this.#byRoute.get(route)?.get(origin)?.get(target) ?? this.#make(route, origin, target);
  }

  #make(route: string, origin: string, target: string): AnswerKey {
    // Clients choose hosts and URLs.
    if (this.#count >= MOST_TARGETS) {
      this.#byRoute.clear();
      this.#count = 0;
    }
    const byOrigin = this.#byRoute.get(route) ?? new Map<string, Map<string, AnswerKey>>();
    const byTarget = byOrigin.get(origin) ?? new Map<string, AnswerKey>();
    const key = Object.freeze(['http', route, origin, target]);
    this.#byRoute.set(route, byOrigin.set(origin, byTarget.set(target, key)));
    this.#count += 1;
    return key;
  }
}

/** `?b=2&a=1` is `?a=1&b=2`. Escapes are not touched, and names that parsers may join keep the order they have. */
export function normalised(url: string): string {
  const mark = url.indexOf('?');
  if (mark === -1) return url;
  const pairs = url
    .slice(mark + 1)
    .split('&')
    .filter((pair) => pair !== '');
  if (pairs.length === 0) return url.slice(0, mark);
  const named = pairs.map((pair) => ({ pair, name: nameOf(pair) }));
  const ambiguous = named.some(({ name }) => isAmbiguous(name));
  // Stable: parameters of one name stay in their order, which is the order of a list.
  if (!ambiguous) named.sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
  return `${url.slice(0, mark)}?${named.map(({ pair }) => pair).join('&')}`;
}

/** Only the parameters that count, or may be read as if they did; and whether there were others. */
export function onlyParameters(url: string, wanted: readonly string[]): { url: string; others: boolean } {
  const mark = url.indexOf('?');
  if (mark === -1) return { url, others: false };
  const named = url
    .slice(mark + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => ({ pair, name: nameOf(pair) }));
  const isWanted = (name: string): boolean => wanted.some((each) => each === name || nameOf(each) === name);
  const kept = named.filter(({ name }) => isWanted(name) || isAmbiguous(name)).map(({ pair }) => pair);
  const others = named.some(({ name }) => !isWanted(name));
  return { url: kept.length === 0 ? url.slice(0, mark) : `${url.slice(0, mark)}?${kept.join('&')}`, others };
}

/** `p%61ge` is `page` for whoever decodes it, and `[page]` is for some parsers. */
function isAmbiguous(name: string): boolean {
  return name === '' || /[%+]/u.test(name);
}

/** `a[0]`, `a[b]` and `a.b` are all about `a`. */
function nameOf(pair: string): string {
  return /^[^=[.]*/u.exec(pair)?.[0] ?? pair;
}

/** Where requests come in: the host, and what proxies say of it. Nearly all of them come in at the same place. */
export class Origins {
  #host = '';
  #origin = '';

  /** `forwarded`: whether a proxy has said something. */
  of({ raw: { headers } }: Exchange, forwarded: boolean): string {
    const host = hostOf(headers);
    if (forwarded) return bounded(portable(host + forwardedOrigin(headers)));
    if (host !== this.#host) {
      this.#origin = bounded(portable(host));
      this.#host = host;
    }
    return this.#origin;
  }
}

/** HTTP/2 has a pseudo-header of its own for it, beside which a client may send the old one. */
function hostOf({ host, ':authority': authority }: Exchange['raw']['headers']): string {
  if (authority === undefined || authority === host) return host ?? '';
  return host === undefined ? String(authority) : `${host}|authority=${String(authority)}`;
}

/**
 * `localhost~3000`: to escape the colon of a port for every hit costs more than all the rest of the key. What has a
 * `~` of its own keeps its colons and has one more in front, so that no two become one.
 */
function portable(origin: string): string {
  return origin.includes('~') ? `:${origin}` : origin.replaceAll(':', '~');
}

function forwardedOrigin(headers: Exchange['raw']['headers']): string {
  let origin = '';
  for (const name of ORIGIN_HEADERS) {
    const value = headers[name];
    if (value !== undefined) origin += `|${name}=${String(value)}`;
  }
  const { forwarded } = headers;
  if (forwarded === undefined) return origin;
  return `${origin}|${(forwarded.match(/\b(?:host|proto)=[^;,]*/giu) ?? []).join('|')}`;
}

/** Values as they came: `Ann` and `ann` may be two. No header holds what stands between them here. */
export function varyingBy(exchange: Exchange, names: readonly string[]): string {
  return bounded(names.map((name) => `${name}=${requestHeader(exchange, name) ?? ''}`).join('\n'));
}
