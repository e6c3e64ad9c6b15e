/**
 * Limits by method and path, for a middleware, which runs before a route is known. Routers disagree about what an
 * encoded slash, a dot segment or a semicolon means, so a path is read in every way one of them reads it, and counts
 * under each: no spelling goes by another limit than its route's alone, or by none.
 */
import { LRUCache } from 'lru-cache';
import { createHash } from 'node:crypto';
import { InvalidRateLimitError } from './rate-limit.errors.js';
import type { RateLimitRule } from './rate-limit.rules.js';
import { nameRules, nameTwice } from './rule-names.js';

/**
 * `'POST /login'`, `'/books/*'` (one segment), `'/books/**'` (the rest), `'*'` (what no other names). The first that
 * fits counts, in the order they are written.
 */
export type EndpointLimits = Readonly<Record<string, RateLimitRule | readonly RateLimitRule[]>>;

interface Endpoint {
  readonly method: string | undefined;
  /** Undefined for every path. */
  readonly segments: readonly string[] | undefined;
  readonly rules: readonly RateLimitRule[];
  /** Those of their names that were made here: nobody meant to share what they count. */
  readonly ownNames: ReadonlySet<string | undefined>;
}

export class EndpointTable {
  readonly #endpoints: readonly Endpoint[];
  /** Of paths that can be read in several ways; there are no more of them than pairs and triples of endpoints. */
  readonly #together = new Map<string, readonly RateLimitRule[]>();
  /** By method and path: most requests ask for what others have asked for. Bounded, for clients choose theirs. */
  readonly #known = new LRUCache<string, readonly RateLimitRule[]>({ max: MOST_KNOWN });

  constructor(limits: EndpointLimits = {}) {
    const all = Object.entries(limits).map(([name, rules]) => endpointOf(name, rules));
    assertApart(all);
    // `*` is what is left, wherever it is written.
    this.#endpoints = [
      ...all.filter(({ segments }) => segments !== undefined),
      ...all.filter(({ segments }) => segments === undefined),
    ];
  }

  rulesFor(method: string, url: string): readonly RateLimitRule[] {
    const query = url.indexOf('?');
    const asked = `${method} ${query === -1 ? url : url.slice(0, query)}`;
    const known = this.#known.get(asked);
    if (known !== undefined) return known;
    const rules = this.#rulesFor(method, url);
    if (asked.length <= LONGEST_KNOWN) this.#known.set(asked, rules);
    return rules;
  }

  #rulesFor(method: string, url: string): readonly RateLimitRule[] {
    // Frameworks answer HEAD by the route of GET.
    const verb = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase();
    const readings = readingsOf(url);
    const [only] = readings;
    if (readings.length === 1 && only !== undefined) return this.#endpointOf(verb, only)?.rules ?? NO_RULES;
    const found = new Set<Endpoint>();
    for (const path of readings) {
      const endpoint = this.#endpointOf(verb, path);
      if (endpoint !== undefined) found.add(endpoint);
    }
    const named = [...found].filter(({ segments }) => segments !== undefined);
    return this.#rulesOf(named.length > 0 ? named : [...found]);
  }

  #endpointOf(verb: string, path: readonly string[]): Endpoint | undefined {
    for (const endpoint of this.#endpoints) if (isFor(endpoint, verb, path)) return endpoint;
    return undefined;
  }

  /** The same list for the same endpoints, so that what is made of it is made once. */
  #rulesOf(endpoints: readonly Endpoint[]): readonly RateLimitRule[] {
    const [first, ...others] = endpoints;
    if (first === undefined) return NO_RULES;
    if (others.length === 0) return first.rules;
    const name = endpoints.map((each) => this.#endpoints.indexOf(each)).join();
    const known = this.#together.get(name);
    if (known !== undefined) return known;
    const names = new Set<string | undefined>();
    const rules = endpoints
      .flatMap((each) => each.rules)
      .filter((rule) => !names.has(rule.name) && names.add(rule.name));
    this.#together.set(name, rules);
    return rules;
  }
}

const NO_RULES: readonly RateLimitRule[] = [];
const MOST_KNOWN = 1_000;
const LONGEST_KNOWN = 200;

function isFor({ method, segments }: Endpoint, verb: string, path: readonly string[]): boolean {
  return (method ?? verb) === verb && (segments === undefined || fits(segments, path));
}

/** As most paths are: letters, digits, and nothing that could be read in two ways. */
const PLAIN_PATH = /^(?:\/[\w~!$&'()*+,=@-]+)*\/?$/u;

/** Every list of segments some router may see in it, in lower case; one for a path without anything special. */
export function readingsOf(url: string): readonly (readonly string[])[] {
  const [path = ''] = url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/iu, '').split(/[?#]/u, 1);
  if (PLAIN_PATH.test(path)) return [path.toLowerCase().split('/').filter(Boolean)];
  // As they stand; up to a semicolon, where some see a query begin; and as a file system would take them.
  return [segmentsOf(path), segmentsOf(path.split(';', 1)[0] ?? ''), plainSegments(path)];
}

function segmentsOf(path: string): readonly string[] {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => decoded(segment).toLowerCase());
}

/** Decoded, in lower case, without empty and dot segments, parameters of segments and the last slash. */
function plainSegments(path: string): readonly string[] {
  const out: string[] = [];
  for (const raw of decoded(path).replaceAll('\\', '/').split('/')) {
    const [segment = ''] = raw.split(';', 1);
    if (segment === '' || segment === '.') continue;
    if (segment === '..') out.pop();
    else out.push(segment.toLowerCase());
  }
  return out;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // What can not be decoded as a whole is decoded sign by sign, as far as it can be.
    return text.replace(/%([0-7][0-9a-f])/giu, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
}

function endpointOf(name: string, given: RateLimitRule | readonly RateLimitRule[]): Endpoint {
  const rules = Array.isArray(given) ? (given as readonly RateLimitRule[]) : [given as RateLimitRule];
  const words = name.trim().split(/\s+/u);
  const [first = '', second] = words;
  const method = second === undefined ? undefined : first.toUpperCase();
  const path = second ?? first;
  if (
    words.length > 2 ||
    (path !== '*' && !isPattern(path)) ||
    (method !== undefined && !/^[A-Z]+$/u.test(method))
  ) {
    throw new InvalidRateLimitError(`rateLimit.endpoints: '${name.slice(0, 80)}' is no endpoint`, {
      hint: "write 'POST /login', '/books/*' (instead of '/books/:id'), '/books/**' or '*'",
    });
  }
  const named = nameRules(
    `rateLimit.endpoints['${name.slice(0, 80)}']`,
    rules,
    nameFor(method === undefined ? path : `${method} ${path}`),
  );
  const ownNames = new Set(named.filter((_, i) => rules[i]?.name === undefined).map((rule) => rule.name));
  return { method, segments: path === '*' ? undefined : plainSegments(path), rules: named, ownNames };
}

/** What would be met by no path is a mistake: the parameters of a router, and what stands after the rest. */
function isPattern(path: string): boolean {
  if (!path.startsWith('/')) return false;
  const segments = path.split('/').filter(Boolean);
  const rest = segments.indexOf('**');
  if (rest !== -1 && rest !== segments.length - 1) return false;
  return segments.every((segment) => /^\*{1,2}$/u.test(segment) || !/^:|\*/u.test(segment));
}

/** Rules of several endpoints share what they count only when that was written. */
function assertApart(endpoints: readonly Endpoint[]): void {
  const known = new Map<string | undefined, boolean>();
  for (const { rules, ownNames } of endpoints) {
    for (const { name = '' } of rules) {
      const isOwn = ownNames.has(name);
      if (known.has(name) && (isOwn || known.get(name) === true))
        throw nameTwice('rateLimit.endpoints', name);
      known.set(name, isOwn);
    }
  }
}

/**
 * Endpoints of which nothing is lost in a name: no other one has it, also not with the number of a second rule. A
 * first segment in capitals would read as a method, and `any` is the name of `*`.
 */
const READABLE = /^(?:[A-Z]+ \/|\/(?![A-Z]+(?:\/|$)|any$))(?:[\w-]+\/)*(?!\d+$)[\w-]+$/u;

/** Leaves room for the number of a rule. */
const LONGEST_NAME = 60;
const HASH_LENGTH = 8;

function nameFor(endpoint: string): string {
  if (endpoint === '*') return 'any';
  const name = endpoint.replace(/[^A-Za-z0-9_.-]+/gu, '.').replace(/^\.+|\.+$/gu, '');
  if (name.length <= LONGEST_NAME && READABLE.test(endpoint)) return name;
  const hash = createHash('sha256').update(endpoint).digest('hex').slice(0, HASH_LENGTH);
  return `${name.slice(0, LONGEST_NAME - HASH_LENGTH - 1) || 'path'}-${hash}`;
}

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  const rest = pattern.indexOf('**');
  if (rest === -1 ? pattern.length !== path.length : path.length < rest) return false;
  const compared = rest === -1 ? pattern : pattern.slice(0, rest);
  return compared.every((segment, i) => segment === '*' || segment === path[i]);
}
