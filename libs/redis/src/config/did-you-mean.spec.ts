import { expect, it } from 'vitest';
import { didYouMean } from './did-you-mean.js';

const KNOWN = ['timeout', 'connectTimeout', 'url', 'host', 'port', 'username', 'retry', 'db'];

it.each([
  ['timeuot', 'timeout'],
  ['timout', 'timeout'],
  ['timeoutt', 'timeout'],
  ['connectTimeOut', 'connectTimeout'],
  ['URL', 'url'],
  ['uri', 'url'],
  ['hsot', 'host'],
  ['hostname', 'host'],
  ['user', 'username'],
  ['retries', undefined],
  ['keyPrefix', undefined],
  ['', undefined],
  ['tls', undefined],
  ['port_6379_tcp', undefined],
])('%s: %s', (name, meant) => {
  expect(didYouMean(name, KNOWN)).toBe(meant);
});

it('prefers the nearest of several', () => {
  expect(didYouMean('maxEntrie', ['maxEntry1', 'maxEntries'])).toBe('maxEntries');
});
