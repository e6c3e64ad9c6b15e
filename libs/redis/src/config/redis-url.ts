/**
 * Connection strings. Read by hand and not with `new URL`, which takes `redis://:p#ss@host` for a host `:p`,
 * and whose errors quote the whole text.
 */
import { CONNECTION_DEFAULTS, type Address } from '../connection/index.js';
import { readAddress } from './address.js';
import { show, showUrl } from './masking.js';
import type { Outcome } from './outcome.js';

export interface RedisUrl extends Address {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number | undefined;
  readonly tls: boolean;
  /** Names of query parameters that mean nothing here. */
  readonly ignored: readonly string[];
}

const SCHEMES: Readonly<Record<string, { tls: boolean }>> = {
  redis: { tls: false },
  rediss: { tls: true },
  valkey: { tls: false },
  valkeys: { tls: true },
};

const DEFAULT_PORT = CONNECTION_DEFAULTS.port;
const SHAPE = "write 'redis://user:password@host:6379/0', or 'rediss://' for TLS";
const ESCAPE =
  'characters such as / ? # % @ in a password have to be percent-encoded: encodeURIComponent(password)';

export function readRedisUrl(text: string): Outcome<RedisUrl> {
  const trimmed = text.trim();
  const [, scheme = '', rest = ''] = /^([a-z][a-z\d+.-]*):(.*)$/isu.exec(trimmed) ?? [];
  const known = SCHEMES[scheme.toLowerCase()];
  if (known === undefined || !Object.hasOwn(SCHEMES, scheme.toLowerCase()) || !rest.startsWith('//')) {
    return foreign(trimmed, scheme.toLowerCase());
  }
  const parts =
    /^\/\/(?:(?<user>[^/?#]*)@)?(?<address>[^/?#@]*)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/u;
  const { user, address = '', path = '', query = '' } = parts.exec(rest)?.groups ?? {};
  if (address === '')
    return { ok: false, problem: `${showUrl(trimmed)} names no host`, hint: `${SHAPE}; ${ESCAPE}` };
  // An '@' further on means that the user part was cut short by one of its own characters.
  if (`${path}${query}`.includes('@'))
    return { ok: false, problem: `${showUrl(trimmed)} cannot be taken apart`, hint: ESCAPE };

  const where = readAddress(address, DEFAULT_PORT, showUrl(trimmed));
  if (!where.ok) return { ...where, hint: SHAPE };
  const credentials = readUserPart(user);
  if (credentials === undefined) {
    return {
      ok: false,
      problem: `${showUrl(trimmed)}: its user part has a '%' that encodes nothing`,
      hint: ESCAPE,
    };
  }
  const parameters = new URLSearchParams(query);
  const db = readDatabase(path, parameters.get('db'));
  if (!db.ok) return { ...db, problem: `${showUrl(trimmed)}: ${db.problem}` };
  const ignored = [...parameters.keys()].filter((name) => name !== 'db');
  return { ok: true, value: { ...where.value, ...credentials, db: db.value, tls: known.tls, ignored } };
}

/** What of a connection string may not be shown, read as roughly as the string may be malformed. */
export function secretsOfUrl(text: string): readonly string[] {
  const rest = text.replace(/^\s*[a-z][a-z\d+.-]*:\/\//iu, '');
  const at = rest.lastIndexOf('@');
  if (at === -1) return [];
  const user = rest.slice(0, at);
  const password = user.slice(user.indexOf(':') + 1);
  return [user, password, decoded(password) ?? ''].filter((secret) => secret !== '');
}

function foreign(text: string, scheme: string): Outcome<never> {
  if (/^(?:(?:redis[+-])?unix|redis-socket)$/u.test(scheme) || text.startsWith('/')) {
    return {
      ok: false,
      problem: 'names a unix socket, which is not supported',
      hint: "let the server listen on 127.0.0.1 as well and give 'redis://127.0.0.1:6379'",
    };
  }
  if (/sentinel|cluster/u.test(scheme)) {
    return {
      ok: false,
      problem: `a URL that begins with ${scheme}: names one server only here`,
      hint: 'list the nodes in REDIS_SENTINELS (with REDIS_SENTINEL_NAME) or REDIS_CLUSTER_NODES, or in the options `sentinel` or `cluster`',
    };
  }
  const rest = scheme.startsWith('http')
    ? 'that is the address of a REST service; copy the one for Redis clients. '
    : '';
  return { ok: false, problem: `${showUrl(text)} is not a Redis URL`, hint: `${rest}${SHAPE}` };
}

function readUserPart(text = ''): { username: string | undefined; password: string | undefined } | undefined {
  const colon = text.indexOf(':');
  const username = decoded(colon === -1 ? text : text.slice(0, colon));
  const password = decoded(colon === -1 ? '' : text.slice(colon + 1));
  if (username === undefined || password === undefined) return undefined;
  return { username: username || undefined, password: password || undefined };
}

function readDatabase(path: string, parameter: string | null): Outcome<number | undefined> {
  const given = [path, parameter ?? ''].filter((text) => text !== '');
  const [first, second] = given;
  if (given.some((text) => !/^\d{1,9}$/u.test(text))) {
    return { ok: false, problem: 'its database is not a whole number', hint: SHAPE };
  }
  if (first !== undefined && second !== undefined && Number(first) !== Number(second)) {
    return {
      ok: false,
      problem: `it names two databases, ${show(Number(first))} and ${show(Number(second))}`,
    };
  }
  return { ok: true, value: first === undefined ? undefined : Number(first) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
