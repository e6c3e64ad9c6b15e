import { describe, expect, it } from 'vitest';
import { resolveConnection, type ConnectionOptions } from './connection.options.js';
import {
  commandProfile,
  formatAddress,
  parseAddress,
  readPassword,
  subscriberProfile,
  targetOf,
} from './driver-options.js';

const ADDRESS = { host: 'redis.example', port: 6380 };

const target = (options: ConnectionOptions = {}) =>
  targetOf(resolveConnection('reports', options, [ADDRESS]), ADDRESS);

describe('commandProfile', () => {
  it('switches off every way in which the driver repeats, queues or waits', async () => {
    expect(await commandProfile(target())).toMatchObject({
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      lazyConnect: true,
    });
    const { retryStrategy } = await commandProfile(target());
    expect(retryStrategy?.(1)).toBeNull();
  });

  it('says who connects, where to, and for how long to try', async () => {
    const options: ConnectionOptions = {
      username: 'app',
      password: 'pw',
      db: 3,
      connectTimeout: '1s',
      tls: true,
    };
    expect(await commandProfile(target(options))).toMatchObject({
      ...ADDRESS,
      db: 3,
      username: 'app',
      password: 'pw',
      tls: {},
      connectTimeout: 1_000,
      connectionName: 'anbar:reports',
    });
  });

  it('names nothing that is not there', async () => {
    const keys = Object.keys(await commandProfile(target()));
    expect(keys).not.toEqual(expect.arrayContaining(['username']));
    expect(keys).not.toEqual(expect.arrayContaining(['password']));
    expect(keys).not.toEqual(expect.arrayContaining(['tls']));
  });

  it('asks for the password anew each time', async () => {
    let turn = 0;
    const rotating = target({ password: () => Promise.resolve(`password ${(turn += 1)}`) });
    expect(await commandProfile(rotating)).toMatchObject({ password: 'password 1' });
    expect(await subscriberProfile(rotating)).toMatchObject({ password: 'password 2', protocol: 2 });
  });
});

it('readPassword takes text, a function, a promise and nothing', async () => {
  expect(await readPassword('a')).toBe('a');
  expect(await readPassword(() => 'b')).toBe('b');
  expect(await readPassword(() => Promise.resolve('c'))).toBe('c');
  expect(await readPassword(undefined)).toBeUndefined();
});

describe('addresses', () => {
  it.each([
    ['127.0.0.1:6379', { host: '127.0.0.1', port: 6379 }],
    ['redis.example:1', { host: 'redis.example', port: 1 }],
    ['[::1]:6379', { host: '::1', port: 6379 }],
    ['::1:6379', { host: '::1', port: 6379 }],
    ['127.0.0.1:6379@16379', { host: '127.0.0.1', port: 6379 }],
    [':6379', { host: '', port: 6379 }],
    ['no-port', undefined],
    ['host:port', undefined],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it('are written so that they can be read again', () => {
    expect(parseAddress(formatAddress(ADDRESS))).toEqual(ADDRESS);
  });
});
