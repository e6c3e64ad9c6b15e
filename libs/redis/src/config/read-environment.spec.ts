import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readEnvironment } from './read-environment.js';

/** Typed: vitest's own matcher is an `any`. */
function containing(text: string): unknown {
  return expect.stringContaining(text);
}

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const folder = mkdtempSync(join(tmpdir(), 'anbar-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('values', () => {
  it.each([
    ['REDIS_HOST', ' redis.internal ', 'redis.internal'],
    ['REDIS_PORT', '6380', 6380],
    ['REDIS_DB', '0', 0],
    ['REDIS_USERNAME', 'app', 'app'],
    ['REDIS_PASSWORD', ' spaces stay ', ' spaces stay '],
    ['REDIS_TLS', 'true', true],
    ['REDIS_TLS', '0', false],
    ['REDIS_TLS_CA', PEM, PEM],
    ['REDIS_TLS_CA', String.raw`-----BEGIN X-----\nAA`, '-----BEGIN X-----\nAA'],
    ['REDIS_TLS_KEY', file('key.pem', PEM), PEM],
    [
      'REDIS_CLUSTER_NODES',
      'a:7000, b,[::1]:7001',
      [
        { host: 'a', port: 7000 },
        { host: 'b', port: 6379 },
        { host: '::1', port: 7001 },
      ],
    ],
    [
      'REDIS_SENTINELS',
      'a,b:1',
      [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 1 },
      ],
    ],
    ['REDIS_TOPOLOGY', 'embedded', 'embedded'],
    ['REDIS_READ_FROM', 'preferReplica', 'preferReplica'],
    ['REDIS_CONNECT', 'required', 'required'],
    ['REDIS_TIMEOUT', '500ms', '500ms'],
    ['REDIS_CACHE_TTL', '300', 300],
    ['REDIS_SESSION_TTL', '24h', '24h'],
    ['REDIS_NAMESPACE', 'shop-2.eu', 'shop-2.eu'],
  ])('%s=%s', (name, text, value) => {
    expect(readEnvironment({ [name]: text })).toEqual({
      given: new Set([name]),
      values: { [name]: value },
      faults: [],
      warnings: name === 'REDIS_PASSWORD' ? [containing('white space')] : [],
    });
  });

  it('takes an empty variable for an unset one, and leaves ignored ones unread', () => {
    const env = { REDIS_PORT: '', REDIS_HOST: undefined, REDIS_DB: 'x' };
    const nothing = { given: new Set(), values: {}, faults: [], warnings: [] };
    expect(readEnvironment(env, new Set(['REDIS_DB']))).toEqual(nothing);
  });
});

describe('faults', () => {
  it.each([
    ['REDIS_URL', 'http://h', 'is not a Redis URL'],
    ['REDIS_HOST', 'redis://:planted@h:1', "'redis://***@h:1' is not a host name or an IP address"],
    ['REDIS_HOST', 'a b', "'a b' is not a host name"],
    ['REDIS_HOST', 'h:6379', "'h:6379' is not a host name"],
    ['REDIS_HOST', '10.0.0', "'10.0.0' is not a host name"],
    ['REDIS_PORT', '99999', "'99999' is not a port, a whole number from 1 to 65535"],
    ['REDIS_PORT', '0', "'0' is not a port"],
    ['REDIS_PORT', '1e3', "'1e3' is not a port"],
    ['REDIS_PORT', '0x10', "'0x10' is not a port"],
    ['REDIS_PORT', ' ', "' ' is not a port"],
    ['REDIS_DB', '-1', "'-1' is not the number of a database"],
    ['REDIS_DB', '1.5', "'1.5' is not the number of a database"],
    ['REDIS_TLS', 'yes', "'yes' is not true or false"],
    [
      'REDIS_TLS_CA',
      '/nowhere/ca.pem',
      "'/nowhere/ca.pem' is no PEM text and no file that can be read (ENOENT)",
    ],
    ['REDIS_TLS_CA', file('empty.pem', 'nothing'), 'names a file that holds no PEM text'],
    ['REDIS_TLS_CA', 'redis://:planted@h', "'redis://***@h' is no PEM text"],
    ['REDIS_TLS_CA', folder, '(EISDIR)'],
    [
      'REDIS_TLS_KEY',
      'planted-key-without-its-first-line',
      'its value is no PEM text and no file that can be read (ENOENT)',
    ],
    ['REDIS_TLS_SERVERNAME', 'a b', "'a b' is not a host name"],
    ['REDIS_CLUSTER_NODES', 'a:7000,b:0', "'b:0': its port is not a whole number from 1 to 65535"],
    ['REDIS_CLUSTER_NODES', 'a:7000,', 'its host is not a host name'],
    ['REDIS_CLUSTER_NODES', '::1:7000', 'its host is not a host name'],
    ['REDIS_CLUSTER_NODES', 'redis://:planted@a:1', "'redis://***@a:1'"],
    ['REDIS_SENTINELS', 'user:planted', 'a text of 12 characters: its port is not'],
    ['REDIS_TOPOLOGY', 'clustr', "'clustr' is not one of 'standalone', 'cluster', 'sentinel', 'embedded'"],
    ['REDIS_READ_FROM', 'slave', "'slave' is not one of 'primary', 'replica', 'preferReplica'"],
    ['REDIS_CONNECT', 'eager', "'eager' is not one of 'lazy', 'required'"],
    ['REDIS_TIMEOUT', '5 sec', "'5 sec' is not a duration above zero"],
    ['REDIS_TIMEOUT', '0', "'0' is not a duration above zero"],
    ['REDIS_CONNECT_TIMEOUT', '-1', "'-1' is not a duration above zero"],
    ['REDIS_CACHE_TTL', 'soon', "'soon' is not a duration above zero"],
    ['REDIS_SESSION_TTL', 'NaN', "'NaN' is not a duration above zero"],
    ['REDIS_NAMESPACE', 'a:b', "'a:b' is not a namespace"],
    ['REDIS_NAMESPACE', 'n'.repeat(65), 'is not a namespace'],
    ['REDIS_NAMESPACE', 'a\nb', "'a\u{FFFD}b' is not a namespace"],
  ])('%s=%s', (name, text, problem) => {
    const { faults, values } = readEnvironment({ [name]: text });
    expect(faults).toEqual([expect.objectContaining({ where: name, problem: containing(problem) })]);
    expect(values).toEqual({});
    expect(JSON.stringify(faults)).not.toContain('planted');
  });
});

describe('warnings', () => {
  it.each([
    ['REDIS_URI', 'REDIS_URL'],
    ['REDIS_PASS', 'REDIS_PASSWORD'],
    ['REDIS_USER', 'REDIS_USERNAME'],
    ['REDIS_CACHE_TLL', 'REDIS_CACHE_TTL'],
    ['REDIS_SENTINEL', 'REDIS_SENTINELS'],
  ])('%s: did you mean %s?', (name, meant) => {
    const { warnings, faults } = readEnvironment({ [name]: 'planted' });
    expect(warnings).toEqual([`${name}: not a variable of this package; did you mean ${meant}?`]);
    expect(faults).toEqual([]);
  });

  it.each([
    'REDIS_SERVER',
    'REDIS_VERSION',
    'REDIS_SERVICE_HOST',
    'REDIS_PORT_6379_TCP',
    'REDISHOST',
    'PORT',
  ])('leaves %s to other programs', (name) => {
    expect(readEnvironment({ [name]: 'x' }).warnings).toEqual([]);
  });

  it('knows what Kubernetes puts beside a Service called redis', () => {
    const { given, faults, warnings } = readEnvironment({ REDIS_PORT: 'tcp://10.0.0.1:6379' });
    expect({ given: given.size, faults }).toEqual({ given: 0, faults: [] });
    expect(warnings).toEqual([containing('Kubernetes')]);
  });
});
