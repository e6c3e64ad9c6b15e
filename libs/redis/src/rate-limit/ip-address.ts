/**
 * Addresses as numbers, and ranges of them. An IPv4 address that travels inside IPv6 (mapped, NAT64, 6to4) is that
 * IPv4 address: counted as IPv6, all who come through one translator would share a limit, or each could have many.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type Ip =
  | { readonly version: 4; readonly bits: number }
  /** Eight groups of 16 bits. */
  | { readonly version: 6; readonly groups: readonly number[] };

export interface IpRange {
  readonly base: Ip;
  readonly prefix: number;
}

/** `203.0.113.7`, `203.0.113.7:4711`, `[2001:db8::1]:443`, `fe80::1%eth0`, `"[::1]"`; undefined for all else. */
export function parseIp(text: string): Ip | undefined {
  const bare = withoutPort(text.trim());
  if (isIPv4(bare)) return { version: 4, bits: bitsOf(bare) };
  if (!isIPv6(bare)) return undefined;
  const groups = groupsOf(bare.split('%', 1)[0] ?? bare);
  return embeddedIpv4(groups) ?? { version: 6, groups };
}

/** The part that one customer of a provider can not change: the whole IPv4 address, the network of an IPv6 one. */
export function networkOf(ip: Ip, ipv6Prefix: number): string {
  if (ip.version === 4) return formatIpv4(ip.bits);
  const kept = ip.groups.map((group, i) => group & maskOf(ipv6Prefix - i * 16, 16));
  return `${kept.map((group) => group.toString(16)).join(':')}/${ipv6Prefix}`;
}

/** `'10.0.0.0/8'`, `'2001:db8::/32'`, or one address; undefined when it is none. */
export function parseRange(text: string): IpRange | undefined {
  const [address = '', length, ...rest] = text.trim().split('/');
  const base = parseIp(address);
  if (base === undefined || rest.length > 0) return undefined;
  const most = base.version === 4 ? 32 : 128;
  if (length === undefined) return { base, prefix: most };
  if (!/^\d{1,3}$/u.test(length)) return undefined;
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
  const mapped = base.version === 4 && address.includes(':');
  const prefix = Number(length) - (mapped ? 96 : 0);
  return prefix >= 0 && prefix <= most ? { base, prefix } : undefined;
}

export function isWithin(ip: Ip, { base, prefix }: IpRange): boolean {
  if (ip.version === 4) {
    return base.version === 4 && ((ip.bits ^ base.bits) & maskOf(prefix, 32)) === 0;
  }
  return (
    base.version === 6 &&
    ip.groups.every((group, i) => ((group ^ (base.groups[i] ?? 0)) & maskOf(prefix - i * 16, 16)) === 0)
  );
}

function withoutPort(text: string): string {
  const bare = text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/u.exec(bare);
  if (bracketed !== null) return bracketed[1] ?? '';
  const withPort = /^([\d.]+):\d{1,5}$/u.exec(bare);
  return withPort?.[1] ?? bare;
}

function bitsOf(ipv4: string): number {
  return ipv4.split('.').reduce((bits, octet) => ((bits << 8) | Number(octet)) >>> 0, 0);
}

function formatIpv4(bits: number): string {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
}

function groupsOf(ipv6: string): readonly number[] {
  const [head = '', tail] = ipv6.split('::');
  const left = wordsOf(head);
  const right = tail === undefined ? [] : wordsOf(tail);
  const gap = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...gap, ...right];
}

function wordsOf(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((word) => {
    if (!word.includes('.')) return [Number.parseInt(word, 16)];
    const bits = bitsOf(word);
    return [bits >>> 16, bits & 0xffff];
  });
}

/** `::ffff:a.b.c.d`, `64:ff9b::a.b.c.d` and the holder of `2002:aabb:ccdd::/48`. */
function embeddedIpv4(groups: readonly number[]): Ip | undefined {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const mapped = (a | b | c | d | e) === 0 && f === 0xffff;
  const translated = a === 0x64 && b === 0xff9b && (c | d | e | f) === 0;
  if (mapped || translated) return { version: 4, bits: ((g << 16) | h) >>> 0 };
  if (a === 0x2002) return { version: 4, bits: ((b << 16) | c) >>> 0 };
  return undefined;
}

/** The first `length` of `width` bits; none below zero, all beyond the width. */
function maskOf(length: number, width: 16 | 32): number {
  if (length <= 0) return 0;
  const all = width === 16 ? 0xffff : 0xffffffff;
  return length >= width ? all : (all << (width - length)) & all;
}
