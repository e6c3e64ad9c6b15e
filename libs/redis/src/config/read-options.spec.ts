import { expect, it } from 'vitest';
import { readOptions } from './read-options.js';

/** Typed: vitest's own matcher is an `any`. */
function containing(text: string): unknown {
  return expect.stringContaining(text);
}

const BREAKER_NAMES =
  'consecutiveFailures, failureRate, maxOpenFor, minimumCalls, openFor, probes, slowCall, slowRate, window';

it.each([
  [{ timeuot: 1 }, 'options', "there is no option 'timeuot'", "did you mean 'timeout'?"],
  [{ retry: { atempts: 1 } }, 'options.retry', "there is no option 'atempts'", "did you mean 'attempts'?"],
  [
    { breaker: { speed: 1 } },
    'options.breaker',
    "there is no option 'speed'",
    `known here: ${BREAKER_NAMES}`,
  ],
  [
    { tls: { rejectUnauthorised: false } },
    'options.tls',
    "no option 'rejectUnauthorised'",
    "'rejectUnauthorized'",
  ],
  [{ constructor: 1 }, 'options', "there is no option 'constructor'", 'known here'],
  [JSON.parse('{"__proto__": 1}'), 'options', "there is no option '__proto__'", 'known here'],
  [
    { connections: { a: { namespace: 'x' } } },
    'options.connections.a',
    "no option 'namespace'",
    'known here',
  ],
  [{ connections: { 'a b': {} } }, 'options.connections.a b', "'a b' is not a name for a connection", ''],
  [{ connections: { default: {} } }, 'options.connections.default', 'at the top level of the options', ''],
  [{ connections: { a: 'redis://h' } }, 'options.connections.a', 'a text is not an object', ''],
  [{ connections: [] }, 'options.connections', 'an empty list is not an object with options', ''],
  [{ url: 5 }, 'options.url', 'a number is not a text', ''],
  [{ url: '' }, 'options.url', 'an empty text is not a text with at least one character', ''],
  [{ url: null }, 'options.url', 'null is not a text', ''],
  [{ host: 'redis://:planted@h' }, 'options.host', "'redis://***@h' is not a host name", 'the name alone'],
  [{ port: 99_999 }, 'options.port', '99999 is not a port, a whole number from 1 to 65535', ''],
  [{ port: 0 }, 'options.port', '0 is not a port', ''],
  [{ port: '6379' }, 'options.port', "'6379' is a text and not a port", ''],
  [{ port: Number.NaN }, 'options.port', 'NaN is not a port', ''],
  [{ username: '' }, 'options.username', "'' is not a text", ''],
  [
    { password: 12_345_678 },
    'options.password',
    'a number is not a password, or a function that returns one',
    '',
  ],
  [{ password: ['planted'] }, 'options.password', 'a list is not a password', ''],
  [{ db: -1 }, 'options.db', '-1 is not the number of a database', ''],
  [{ db: 1.5 }, 'options.db', '1.5 is not the number of a database', ''],
  [{ tls: 'planted' }, 'options.tls', 'a text is not true, false or an object with options', ''],
  [{ tls: { key: 5 } }, 'options.tls.key', 'a number is not PEM text or bytes', ''],
  [{ tls: { passphrase: 5 } }, 'options.tls.passphrase', 'a number is not a text', ''],
  [{ tls: { minVersion: 'TLSv2' } }, 'options.tls.minVersion', "'TLSv2' is not one of 'TLSv1.3'", ''],
  [{ topology: 'clustr' }, 'options.topology', "'clustr' is not one of 'standalone'", ''],
  [{ cluster: true }, 'options.cluster', 'a boolean is not an object with options', ''],
  [{ cluster: {} }, 'options.cluster.nodes', 'is missing', 'a list such as'],
  [
    { cluster: { nodes: [] } },
    'options.cluster.nodes',
    'an empty list is not a list with at least one address',
    '',
  ],
  [{ sentinel: { nodes: ['a'] } }, 'options.sentinel.name', 'is missing', 'mymaster'],
  [{ sentinel: { name: 'm' } }, 'options.sentinel.nodes', 'is missing', ''],
  [
    { sentinel: { name: 'm', nodes: ['a'], tls: 1 } },
    'options.sentinel.tls',
    'a number is not true, false',
    '',
  ],
  [{ readFrom: 'slave' }, 'options.readFrom', "'slave' is not one of", ''],
  [{ connect: 'now' }, 'options.connect', "'now' is not one of 'lazy', 'required'", ''],
  [{ timeout: '5sec' }, 'options.timeout', "'5sec' is not a duration above zero", "write '500ms'"],
  [{ timeout: 0 }, 'options.timeout', '0 is not a duration above zero', ''],
  [{ connectTimeout: -1 }, 'options.connectTimeout', '-1 is not a duration above zero', ''],
  [{ heartbeat: Number.NaN }, 'options.heartbeat', 'NaN is not a duration above zero', ''],
  [{ defaultTtl: 'ever' }, 'options.defaultTtl', "'ever' is not a duration above zero, or 'never'", ''],
  [{ pool: 5 }, 'options.pool', 'a number is not an object with options', ''],
  [{ pool: { size: 0 } }, 'options.pool.size', '0 is not a whole number from 1', ''],
  [{ pool: { maxInFlight: 1.5 } }, 'options.pool.maxInFlight', '1.5 is not a whole number from 1', ''],
  [{ pool: { maxWaiting: -1 } }, 'options.pool.maxWaiting', '-1 is not a whole number from 0', ''],
  [{ retry: true }, 'options.retry', 'a boolean is not an object with options, or false', ''],
  [{ retry: { attempts: 0 } }, 'options.retry.attempts', '0 is not a whole number from 1', ''],
  [{ retry: { budget: 1.1 } }, 'options.retry.budget', '1.1 is not a share from 0 to 1', ''],
  [{ retry: { baseDelay: 'x' } }, 'options.retry.baseDelay', "'x' is not a duration", ''],
  [
    { breaker: { failureRate: 0 } },
    'options.breaker.failureRate',
    '0 is not a share above 0 and up to 1',
    '',
  ],
  [{ breaker: { probes: 0 } }, 'options.breaker.probes', '0 is not a whole number from 1', ''],
  [{ embedded: { maxEntries: 0 } }, 'options.embedded.maxEntries', '0 is not a whole number from 1', ''],
  [{ integrity: 'no' }, 'options.integrity', "'no' is not true or false", ''],
  [{ integrity: 'true' }, 'options.integrity', "'true' is a text and not true or false", ''],
  [{ db: '1' }, 'options.db', "'1' is a text and not the number of a database", ''],
  [{ coalesce: 1 }, 'options.coalesce', '1 is not true or false', ''],
  [{ namespace: 'a{b}' }, 'options.namespace', "'a{b}' is not a namespace", ''],
  ['redis://:planted@h', 'options', 'a text is not an object with options', ''],
  [null, 'options', 'null is not an object with options', ''],
])('%j: %s: %s', (options: unknown, where, problem, hint) => {
  const { faults } = readOptions(options);
  expect(faults).toEqual([expect.objectContaining({ where, problem: containing(problem) })]);
  expect(faults[0]?.hint ?? '').toContain(hint);
  expect(JSON.stringify(faults)).not.toContain('planted');
});

it('takes `undefined` for not given, at every depth', () => {
  const { main, connections, faults } = readOptions({
    url: undefined,
    retry: { attempts: undefined, budget: 0 },
    connections: { reports: undefined },
    unknownName: undefined,
  });
  expect(faults).toEqual([]);
  expect([...main.given]).toEqual(['retry', 'connections']);
  expect(main.sound['retry']).toEqual({ budget: 0 });
  expect(connections.size).toBe(0);
});

it('keeps what is sound of a block with a fault, so that the rest can still be judged', () => {
  const { main, faults } = readOptions({ host: 'h', port: 0, pool: { size: 2, maxInFlight: 0 } });
  expect(faults.map(({ where }) => where)).toEqual(['options.port', 'options.pool.maxInFlight']);
  expect(main.sound).toEqual({ host: 'h', pool: { size: 2 } });
  expect([...main.given]).toEqual(['host', 'port', 'pool']);
});

it('accepts everything the types accept', () => {
  const options = Object.freeze({
    tls: {
      ca: ['-----BEGIN'],
      cert: Buffer.from('x'),
      key: [{ pem: 'x', passphrase: 'y' }],
      minVersion: 'TLSv1.2',
    },
    password: () => 'x',
    sentinel: { name: 'm', nodes: ['a', { host: 'b', port: 1 }], tls: true, password: () => 'x' },
    retry: false,
    breaker: { slowCall: 0, failureRate: 1 },
    defaultTtl: 'never',
    timeout: 0.25,
    integrity: false,
  });
  expect(readOptions(options).faults).toEqual([]);
});
