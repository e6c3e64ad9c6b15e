import { describe, expect, it } from 'vitest';
import { ClientAddress, type TrustProxy } from './client-address.js';
import { EndpointTable, readingsOf } from './endpoint-limits.js';
import { parseIp, parseRange } from './ip-address.js';

const PROXY = '10.0.0.1';
const CLIENT = '203.0.113.7';

/** What a client of one address may write, what it is counted as, and under which trust. */
const CHAINS: readonly [
  trust: TrustProxy,
  socket: string,
  forwardedFor: string | undefined,
  counted: string,
][] = [
  // Nobody in front: whatever is written counts for nothing.
  [false, CLIENT, undefined, CLIENT],
  [false, CLIENT, '1.1.1.1', CLIENT],
  [0, CLIENT, '1.1.1.1, 2.2.2.2', CLIENT],
  // One proxy: it appended the last one, and everything before it is the client's invention.
  [1, PROXY, CLIENT, CLIENT],
  [1, PROXY, `1.1.1.1, ${CLIENT}`, CLIENT],
  [1, PROXY, `1.1.1.1,2.2.2.2,3.3.3.3,${CLIENT}`, CLIENT],
  [1, PROXY, `10.0.0.1, 10.0.0.2, ${CLIENT}`, CLIENT],
  [1, PROXY, `${'9.9.9.9, '.repeat(10_000)}${CLIENT}`, CLIENT],
  [1, PROXY, `unknown, ${CLIENT}`, CLIENT],
  [1, PROXY, `${CLIENT}:4711`, CLIENT],
  [1, PROXY, undefined, PROXY],
  [1, PROXY, '', PROXY],
  [1, PROXY, 'unknown', PROXY],
  [1, PROXY, `${CLIENT}, `, PROXY],
  [1, PROXY, `${CLIENT} x`, PROXY],
  [1, PROXY, '010.0.0.7', PROXY],
  [1, PROXY, '1.2.3', PROXY],
  [1, PROXY, '0x7f.1', PROXY],
  [2, PROXY, `1.1.1.1, ${CLIENT}, 10.0.0.2`, CLIENT],
  [2, PROXY, CLIENT, CLIENT],
  // Known proxies: the rightmost that is none of them.
  ['private', PROXY, `1.1.1.1, ${CLIENT}`, CLIENT],
  ['private', PROXY, `1.1.1.1, ${CLIENT}, 10.0.0.2, 192.168.1.1`, CLIENT],
  ['private', PROXY, `10.0.0.9, ${CLIENT}`, CLIENT],
  ['private', CLIENT, '1.1.1.1', CLIENT],
  ['private', CLIENT, '10.0.0.1', CLIENT],
  ['private', '::ffff:10.0.0.1', `1.1.1.1, ${CLIENT}`, CLIENT],
  ['private', PROXY, `1.1.1.1, ::ffff:${CLIENT}`, CLIENT],
  ['private', PROXY, `1.1.1.1, ::ffff:cb00:7107`, CLIENT],
  ['private', PROXY, `${CLIENT}, junk, 10.0.0.2`, '10.0.0.2'],
  [['10.0.0.0/8'], PROXY, `1.1.1.1, ${CLIENT}`, CLIENT],
  [['10.0.0.0/31'], '10.0.0.2', CLIENT, '10.0.0.2'],
  ['loopback', '::1', CLIENT, CLIENT],
  ['loopback', '127.0.0.9', `6.6.6.6, ${CLIENT}`, CLIENT],
  // IPv6: one customer has a whole /64, and may write an address in many ways.
  [false, '2001:db8:1:2:aaaa::1', undefined, '2001:db8:1:2:0:0:0:0/64'],
  [false, '2001:db8:1:2:bbbb:cccc:dddd:eeee', undefined, '2001:db8:1:2:0:0:0:0/64'],
  [false, '2001:0DB8:0001:0002::', undefined, '2001:db8:1:2:0:0:0:0/64'],
  [false, 'fe80::1%eth0', undefined, 'fe80:0:0:0:0:0:0:0/64'],
  [1, PROXY, '[2001:db8:1:2::5]:443', '2001:db8:1:2:0:0:0:0/64'],
  [1, PROXY, '"[2001:db8:1:2::5]"', '2001:db8:1:2:0:0:0:0/64'],
  ['fd00::/8', 'fd12::1', `::1, ${CLIENT}`, CLIENT],
  // IPv4 within IPv6 is that IPv4: neither one limit for all of them, nor many for one.
  [false, `::ffff:${CLIENT}`, undefined, CLIENT],
  [false, '::ffff:cb00:7107', undefined, CLIENT],
  [false, '0:0:0:0:0:ffff:203.0.113.7', undefined, CLIENT],
  [false, '64:ff9b::203.0.113.7', undefined, CLIENT],
  [false, '2002:cb00:7107:1::1', undefined, CLIENT],
  [false, '2002:cb00:7107:ffff:1:2:3:4', undefined, CLIENT],
];

describe('ClientAddress', () => {
  it.each(CHAINS)(
    'trust %j, socket %s, X-Forwarded-For %.60s: counted as the last column',
    (trust, socket, chain, counted) => {
      const addresses = new ClientAddress({ trustProxy: trust });
      expect(addresses.of({ remoteAddress: socket, forwardedFor: chain })).toBe(counted);
      if (chain !== undefined) {
        expect(addresses.of({ remoteAddress: socket, forwardedFor: [chain] })).toBe(counted);
      }
    },
  );

  it('counts all who come without an address as one', () => {
    expect(new ClientAddress({}).of({ remoteAddress: undefined, forwardedFor: undefined })).toBe('unknown');
    expect(new ClientAddress({}).of({ remoteAddress: 'junk', forwardedFor: undefined })).toBe('unknown');
    const behind = new ClientAddress({ trustProxy: 1 });
    expect(behind.of({ remoteAddress: undefined, forwardedFor: `1.1.1.1, ${CLIENT}` })).toBe(CLIENT);
  });

  it('thousands of invented addresses make one counted one, and no growing memory', () => {
    const addresses = new ClientAddress({ trustProxy: 1 });
    const counted = new Set<string>();
    for (let i = 0; i < 12_000; i += 1) {
      counted.add(
        addresses.of({ remoteAddress: PROXY, forwardedFor: `${i & 255}.${i >> 8}.1.1, ${CLIENT}` }),
      );
      counted.add(
        addresses.of({ remoteAddress: `2001:db8:1:2::${i.toString(16)}`, forwardedFor: undefined }),
      );
    }
    expect([...counted]).toEqual([CLIENT, '2001:db8:1:2:0:0:0:0/64']);
  });

  it('counts by as many bits as it is told', () => {
    const wide = new ClientAddress({ ipv6Prefix: 48 });
    expect(wide.of({ remoteAddress: '2001:db8:1:2::1', forwardedFor: undefined })).toBe(
      '2001:db8:1:0:0:0:0:0/48',
    );
    const odd = new ClientAddress({ ipv6Prefix: 57 });
    expect(odd.of({ remoteAddress: '2001:db8:1:2ff::1', forwardedFor: undefined })).toBe(
      '2001:db8:1:280:0:0:0:0/57',
    );
  });

  it('says once that somebody forwards and nobody is trusted', () => {
    let told = 0;
    const addresses = new ClientAddress({ onUntrusted: () => (told += 1) });
    addresses.of({ remoteAddress: PROXY, forwardedFor: undefined });
    expect(told).toBe(0);
    for (let i = 0; i < 3; i += 1) addresses.of({ remoteAddress: PROXY, forwardedFor: CLIENT });
    expect(told).toBe(1);
  });

  it.each([true, -1, 1.5, 99, NaN, 'everybody', ['10.0.0.0/33'], ['10.0.0/8'], ['1.2.3.4/x']])(
    'refuses to trust %j',
    (trust) => {
      expect(() => new ClientAddress({ trustProxy: trust as TrustProxy })).toThrow(/trustProxy/u);
    },
  );

  it.each([0, 8, 129, 64.5, NaN])('refuses %d bits', (ipv6Prefix) => {
    expect(() => new ClientAddress({ ipv6Prefix })).toThrow(/ipv6Prefix/u);
  });
});

describe('parseIp and parseRange', () => {
  it.each([
    '',
    ' ',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4/8',
    ':::',
    '[::1',
    '1.2.3.4:',
    'localhost',
    '::g',
    '12345',
  ])('%j is no address', (text) => expect(parseIp(text)).toBeUndefined());

  it('a mapped range is the range of IPv4', () => {
    expect(parseRange('::ffff:10.0.0.0/104')).toEqual(parseRange('10.0.0.0/8'));
    expect(parseRange('::ffff:10.0.0.0/64')).toBeUndefined();
  });
});

describe('EndpointTable', () => {
  const table = new EndpointTable({
    '*': { limit: 1, name: 'any' },
    'POST /login': { limit: 1, name: 'login' },
    '/books/*': { limit: 1, name: 'book' },
    '/books/**': { limit: 1, name: 'below' },
    'GET /': { limit: 1, name: 'root' },
  });
  const named = (method: string, url: string): unknown => table.rulesFor(method, url)[0]?.name;

  it.each([
    '/login',
    '/LOGIN',
    '/login/',
    '/login?next=/',
    '/login#x',
    '/%6Cogin',
    '/%6cOGIN',
    '//login',
    '/./login',
    '/x/../login',
    '/../login',
    '/%2e%2e/login',
    '/login;jsessionid=1',
    '\\login',
    'http://host/login',
    'https://host:1/login?x',
  ])('%s is the login', (url) => expect(named('post', url)).toBe('login'));

  it('goes by method, by segment and by what is left', () => {
    expect(named('GET', '/login')).toBe('any');
    expect(named('GET', '/books/1')).toBe('book');
    expect(named('DELETE', '/books/1/pages')).toBe('below');
    expect(named('HEAD', '/')).toBe('root');
    expect(named('GET', '/%')).toBe('any');
    expect(readingsOf('/%E0%A4%A/%6Cogin')).toContainEqual(['%e0%a4%a', 'login']);
  });

  it.each([
    '/books/a%2Fb',
    '/books/..',
    '/books/.',
    '/books/%2e%2e',
    '/books/;a',
    '/books/a\\b',
    '/books/a%5Cb',
  ])('%s is one book, as some routers have it', (url) => expect(named('GET', url)).toBe('book'));

  it('a path that is two endpoints counts for both, and is the same list each time', () => {
    const rules = table.rulesFor('GET', '/books/a/..%2Fb');
    expect(rules.map(({ name }) => name)).toEqual(['below', 'book']);
    expect(table.rulesFor('GET', '/books/x/..%2Fy')).toBe(rules);
  });

  it('one with parameters that hold a slash is what stands before them', () => {
    expect(named('POST', '/login;a%2Fb')).toBe('login');
    expect(named('POST', '/login;/a/b')).toBe('login');
  });

  it.each(['login', 'POST', 'GET POST /x', '', 'P0ST /x'])('%j is no endpoint', (name) => {
    expect(() => new EndpointTable({ [name]: { limit: 1 } })).toThrow(/no endpoint/u);
  });
});
