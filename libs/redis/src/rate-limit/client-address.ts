/**
 * Whose request it is, behind proxies. Each proxy appends to `X-Forwarded-For` the address that it saw, so the
 * chain is true from the right as far as the proxies are ours, and from there on it is what the client wrote.
 * The client is the rightmost address that is not one of ours.
 */
import { LRUCache } from 'lru-cache';
import { isWithin, networkOf, parseIp, parseRange, type Ip, type IpRange } from './ip-address.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';

/**
 * `false`: nobody stands in front. A number: so many proxies do. Otherwise the addresses of the proxies, as CIDR
 * ranges, or `'loopback'`, `'private'`.
 */
export type TrustProxy = false | number | string | readonly string[];

type Trust =
  | { readonly kind: 'none' }
  | { readonly kind: 'hops'; readonly hops: number }
  | { readonly kind: 'ranges'; readonly ranges: readonly IpRange[] };

/** What of a request tells where it came from. */
export interface Origin {
  /** Of the socket. */
  readonly remoteAddress: string | undefined;
  /** `X-Forwarded-For`, as it came. */
  readonly forwardedFor: string | readonly string[] | undefined;
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'];
const PRESETS: Readonly<Record<string, readonly string[]>> = {
  loopback: LOOPBACK,
  private: [
    ...LOOPBACK,
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '169.254.0.0/16',
    'fc00::/7',
    'fe80::/10',
  ],
};

/** No honest chain is longer; beyond that a client is only making work. */
const LONGEST_CHAIN = 32;
const MAX_HOPS = 16;
const REMEMBERED = 10_000;

/** All who come without an address share one limit. */
const UNKNOWN = 'unknown';

export interface ClientAddressOptions {
  readonly trustProxy?: TrustProxy | undefined;
  readonly ipv6Prefix?: number | undefined;
  /** Told once when `X-Forwarded-For` arrives and nobody is trusted. */
  readonly onUntrusted?: (() => void) | undefined;
}

export class ClientAddress {
  readonly #trust: Trust;
  readonly #ipv6Prefix: number;
  readonly #onUntrusted: () => void;
  /** Parsing costs more than a look; bounded, since clients choose their addresses. */
  readonly #networks = new LRUCache<string, string>({ max: REMEMBERED });
  #warned = false;

  constructor({ trustProxy = false, ipv6Prefix = 64, onUntrusted = () => undefined }: ClientAddressOptions) {
    this.#trust = resolveTrust(trustProxy);
    this.#ipv6Prefix = prefixOf(ipv6Prefix);
    this.#onUntrusted = onUntrusted;
  }

  /** What limits by address count: an IPv4 address, or the network of an IPv6 one. */
  of({ remoteAddress, forwardedFor }: Origin): string {
    if (forwardedFor === undefined || this.#trust.kind === 'none') {
      if (forwardedFor !== undefined) this.#warnOnce();
      return this.#direct(remoteAddress);
    }
    const ip = this.#client(remoteAddress, forwardedFor);
    return ip === undefined ? UNKNOWN : networkOf(ip, this.#ipv6Prefix);
  }

  #direct(remoteAddress: string | undefined): string {
    if (remoteAddress === undefined) return UNKNOWN;
    const known = this.#networks.get(remoteAddress);
    if (known !== undefined) return known;
    const ip = parseIp(remoteAddress);
    const network = ip === undefined ? UNKNOWN : networkOf(ip, this.#ipv6Prefix);
    this.#networks.set(remoteAddress, network);
    return network;
  }

  /** Goes from the right as long as the present address is a proxy of ours; what is no address ends the way. */
  #client(remoteAddress: string | undefined, forwardedFor: string | readonly string[]): Ip | undefined {
    let present = remoteAddress === undefined ? undefined : parseIp(remoteAddress);
    const chain = rightmost(typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(','));
    for (const [step, entry] of chain.entries()) {
      if (!this.#isProxy(present, step)) return present;
      const next = parseIp(entry);
      if (next === undefined) return present;
      present = next;
    }
    return present;
  }

  #isProxy(present: Ip | undefined, step: number): boolean {
    const trust = this.#trust;
    if (trust.kind === 'hops') return step < trust.hops;
    // A socket without an address is a local one: whoever listens there put a proxy before it.
    if (present === undefined) return step === 0;
    return trust.kind === 'ranges' && trust.ranges.some((range) => isWithin(present, range));
  }

  #warnOnce(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#onUntrusted();
  }
}

function resolveTrust(given: TrustProxy): Trust {
  if (given === false) return { kind: 'none' };
  if (typeof given === 'number') {
    if (!Number.isInteger(given) || given < 0 || given > MAX_HOPS) throw refused(String(given));
    return given === 0 ? { kind: 'none' } : { kind: 'hops', hops: given };
  }
  if (typeof given !== 'string' && !Array.isArray(given)) throw refused(String(given));
  const texts = typeof given === 'string' ? given.split(',') : (given as readonly string[]);
  const ranges = texts.flatMap((text) => PRESETS[text.trim()] ?? [text]).map(rangeOf);
  return ranges.length === 0 ? { kind: 'none' } : { kind: 'ranges', ranges };
}

function rangeOf(text: string): IpRange {
  const range = parseRange(text);
  if (range === undefined) throw refused(`'${text.slice(0, 60)}'`);
  return range;
}

function refused(shown: string): InvalidRateLimitError {
  return new InvalidRateLimitError(
    `rateLimit.trustProxy: ${shown} is neither a number of proxies nor a range`,
    {
      hint: "how many proxies stand in front (1), or their addresses: 'private', ['10.0.0.0/8']; `true` would let clients choose their address",
    },
  );
}

function prefixOf(prefix: number): number {
  if (Number.isInteger(prefix) && prefix >= 16 && prefix <= 128) return prefix;
  throw new InvalidRateLimitError(
    `rateLimit.ipv6Prefix: ${String(prefix)} is not a whole number from 16 to 128`,
  );
}

/** The entries of a list, the last one first, no more of them than make sense. */
function rightmost(list: string): readonly string[] {
  const entries: string[] = [];
  let end = list.length;
  while (end >= 0 && entries.length < LONGEST_CHAIN) {
    const comma = list.lastIndexOf(',', end - 1);
    entries.push(list.slice(comma + 1, end).trim());
    if (comma === -1 || end === 0) break;
    end = comma;
  }
  return entries;
}
