/**
 * Limits by method and path, for a middleware, which runs before a route is known. A path is compared in one plain
 * form, so that no other spelling of it goes by another limit, or by none.
 */
import { InvalidRateLimitError } from './rate-limit.errors.js';
import type { RateLimitRule } from './rate-limit.rules.js';

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
}

export class EndpointTable {
  readonly #endpoints: readonly Endpoint[];

  constructor(limits: EndpointLimits = {}) {
    const all = Object.entries(limits).map(([name, rules]) => endpointOf(name, rules));
    // `*` is what is left, wherever it is written.
    this.#endpoints = [
      ...all.filter(({ segments }) => segments !== undefined),
      ...all.filter(({ segments }) => segments === undefined),
    ];
  }

  rulesFor(method: string, url: string): readonly RateLimitRule[] {
    const path = plainSegments(url);
    // Frameworks answer HEAD by the route of GET.
    const verb = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase();
    const found = this.#endpoints.find(
      (each) => (each.method ?? verb) === verb && (each.segments === undefined || fits(each.segments, path)),
    );
    return found?.rules ?? [];
  }
}

/** Without query, decoded, in lower case, without empty and dot segments, parameters of segments and the last slash. */
export function plainSegments(url: string): readonly string[] {
  const [path = ''] = url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/iu, '').split(/[?#]/u, 1);
  const out: string[] = [];
  for (const raw of decoded(path).replaceAll('\\', '/').split('/')) {
    const [segment = ''] = raw.split(';', 1);
    if (segment === '' || segment === '.') continue;
    if (segment === '..') out.pop();
    else out.push(segment.toLowerCase());
  }
  return out;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // What can not be decoded as a whole is decoded sign by sign, as far as it can be.
    return path.replace(/%([0-7][0-9a-f])/giu, (_, code: string) =>
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
    (path !== '*' && !path.startsWith('/')) ||
    (method !== undefined && !/^[A-Z]+$/u.test(method))
  ) {
    throw new InvalidRateLimitError(`rateLimit.endpoints: '${name.slice(0, 80)}' is no endpoint`, {
      hint: "write 'POST /login', '/books/*', '/books/**' or '*'",
    });
  }
  // Two endpoints with limits of the same name would share what they count.
  const named = rules.map((rule) => ({ ...rule, name: rule.name ?? nameFor(name) }));
  return { method, segments: path === '*' ? undefined : plainSegments(path), rules: named };
}

function nameFor(endpoint: string): string {
  const name = endpoint.replace(/[^A-Za-z0-9_.-]+/gu, '.').replace(/^\.+|\.+$/gu, '');
  return name === '' ? 'any' : name.slice(0, 64);
}

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  const rest = pattern.indexOf('**');
  if (rest === -1 ? pattern.length !== path.length : path.length < rest) return false;
  const compared = rest === -1 ? pattern : pattern.slice(0, rest);
  return compared.every((segment, i) => segment === '*' || segment === path[i]);
}
