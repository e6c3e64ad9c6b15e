import { describe, expect, it } from 'vitest';
import { readRedisUrl, secretsOfUrl } from './redis-url.js';

/** Typed: vitest's own matcher is an `any`. */
function containing(text: string): unknown {
  return expect.stringContaining(text);
}

describe('readRedisUrl', () => {
  const plain = { username: undefined, password: undefined, db: undefined, tls: false, ignored: [] };

  it.each([
    ['redis://localhost', { ...plain, host: 'localhost', port: 6379 }],
    ['redis://localhost:6380', { ...plain, host: 'localhost', port: 6380 }],
    ['REDIS://localhost', { ...plain, host: 'localhost', port: 6379 }],
    ['rediss://h', { ...plain, host: 'h', port: 6379, tls: true }],
    ['valkey://h', { ...plain, host: 'h', port: 6379 }],
    ['valkeys://h', { ...plain, host: 'h', port: 6379, tls: true }],
    ['redis://h/3', { ...plain, host: 'h', port: 6379, db: 3 }],
    ['redis://h/', { ...plain, host: 'h', port: 6379 }],
    ['redis://h?db=3', { ...plain, host: 'h', port: 6379, db: 3 }],
    ['redis://h/3?db=3', { ...plain, host: 'h', port: 6379, db: 3 }],
    ['redis://h?family=0', { ...plain, host: 'h', port: 6379, ignored: ['family'] }],
    ['redis://[::1]:7000/1', { ...plain, host: '::1', port: 7000, db: 1 }],
    ['redis://[2001:db8::5]', { ...plain, host: '2001:db8::5', port: 6379 }],
    ['redis://:pw@h', { ...plain, host: 'h', port: 6379, password: 'pw' }],
    ['redis://app@h', { ...plain, host: 'h', port: 6379, username: 'app' }],
    ['redis://a%40b:p%2Fs%3As@h', { ...plain, host: 'h', port: 6379, username: 'a@b', password: 'p/s:s' }],
    ['redis://app:p:w@h', { ...plain, host: 'h', port: 6379, username: 'app', password: 'p:w' }],
    ['redis://app:p@w@h', { ...plain, host: 'h', port: 6379, username: 'app', password: 'p@w' }],
    ['  redis://h \n', { ...plain, host: 'h', port: 6379 }],
  ])('reads %s', (text, expected) => {
    expect(readRedisUrl(text)).toEqual({ ok: true, value: expected });
  });

  it.each([
    [
      'redis://u:planted-secret@h:99999',
      "'redis://***@h:99999': its port is not a whole number from 1 to 65535",
    ],
    ['redis://u:planted-secret@h:0', "'redis://***@h:0': its port is not"],
    ['redis://u:planted-secret@h:port', "'redis://***@…': its port is not"],
    ['redis://u:planted-secret@bad host', "'redis://***@…': its host is not a host name"],
    ['redis://u:planted-secret@256.1.1.1', "'redis://***@256.1.1.1': its host is not"],
    ['redis://u:planted-secret@', "'redis://***@…' names no host"],
    ['redis://', 'a text of 8 characters that begins with redis:// names no host'],
    ['redis://:planted-secret', 'a text of 23 characters that begins with redis://'],
    ['redis://:planted/secret@h', "'redis://***@h'"],
    ['redis://:planted#secret@h', "'redis://***@h' names no host"],
    ['redis://app:1234?planted@h', "'redis://***@h' cannot be taken apart"],
    ['redis://app:1234/5@h', "'redis://***@h' cannot be taken apart"],
    ['redis://:planted?secret@h', "'redis://***@h'"],
    ['redis://u:planted%zzsecret@h', "'redis://***@h': its user part has a '%' that encodes nothing"],
    ['redis://u:planted-secret@h/abc', "'redis://***@…': its database is not a whole number"],
    ['redis://h?db=-1', "'redis://h': its database is not a whole number"],
    ['redis://h/1?db=2', "'redis://h/1': it names two databases, 1 and 2"],
    ['http://u:planted-secret@h', "'http://***@h' is not a Redis URL"],
    ['localhost:6379', "'localhost:6379' is not a Redis URL"],
    ['planted-secret', 'a text of 14 characters is not a Redis URL'],
    ['redis:localhost', 'is not a Redis URL'],
    ['constructor://h', "'constructor://h' is not a Redis URL"],
    ['unix:/run/redis.sock', 'names a unix socket, which is not supported'],
    ['redis+unix:///run/redis.sock', 'names a unix socket, which is not supported'],
    ['/run/redis.sock', 'names a unix socket, which is not supported'],
    [
      'redis-sentinel://u:planted-secret@h',
      'a URL that begins with redis-sentinel: names one server only here',
    ],
  ])('refuses %s', (text, problem) => {
    const outcome = readRedisUrl(text);
    expect(outcome).toMatchObject({ ok: false, problem: containing(problem) });
    expect(JSON.stringify(outcome)).not.toMatch(/planted|secret/u);
  });

  it.each([
    ['redis://u:p%40w@h', ['u:p%40w', 'p%40w', 'p@w']],
    ['redis://:pw@h', [':pw', 'pw', 'pw']],
    ['u:pw@h', ['u:pw', 'pw', 'pw']],
    ['redis://h', []],
  ])('knows what of %s is secret', (text, secrets) => {
    expect(secretsOfUrl(text)).toEqual(secrets);
  });
});
