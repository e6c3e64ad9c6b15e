import { describe, expect, it } from 'vitest';
import {
  CONNECTION_DEFAULTS,
  resolveConnection,
  topologyOf,
  type ConnectionOptions,
} from './connection.options.js';

const resolve = (options: ConnectionOptions) => resolveConnection('default', options, []);

describe('resolveConnection', () => {
  it('fills in every default', () => {
    expect(resolve({})).toMatchObject({
      name: 'default',
      topology: 'standalone',
      db: 0,
      tls: undefined,
      readFrom: 'primary',
      connect: 'lazy',
      timeoutMs: 250,
      connectTimeoutMs: 2_000,
      heartbeatMs: 500,
      integrity: true,
      coalesce: true,
      pool: { size: 1, maxInFlight: 1_000, maxWaiting: 256 },
      defaultTtlMs: 3_600_000,
      embedded: { maxEntries: 100_000, maxBytes: 134_217_728 },
    });
  });

  it('reads durations once, as text or as seconds', () => {
    expect(resolve({ timeout: 1, connectTimeout: '500ms', heartbeat: '1m', defaultTtl: '1d' })).toMatchObject(
      {
        timeoutMs: 1_000,
        connectTimeoutMs: 500,
        heartbeatMs: 60_000,
        defaultTtlMs: 86_400_000,
      },
    );
    expect(resolve({ defaultTtl: 'never' }).defaultTtlMs).toBeUndefined();
  });

  it.each(['timeout', 'connectTimeout', 'heartbeat', 'defaultTtl'] as const)(
    'refuses a %s of nothing',
    (name) => {
      expect(() => resolve({ [name]: 0 })).toThrow(`${name}: 0 is not a duration`);
    },
  );

  it('completes a group of which only a part is given', () => {
    const { pool, embedded } = resolve({ pool: { size: 2 }, embedded: { maxEntries: 5 } });
    expect(pool).toEqual({ size: 2, maxInFlight: 1_000, maxWaiting: 256 });
    expect(embedded).toEqual({ maxEntries: 5, maxBytes: 134_217_728 });
  });

  it('switches retry and breaker off by false, and TLS on by true', () => {
    const { retry, breaker, tls } = resolve({ retry: false, breaker: false, tls: true });
    expect([retry, breaker, tls]).toEqual([false, false, {}]);
    expect(resolve({ tls: false }).tls).toBeUndefined();
    expect(resolve({ tls: { servername: 'a' } }).tls).toEqual({ servername: 'a' });
    expect(resolve({}).retry).not.toBe(false);
    expect(resolve({}).breaker).not.toBe(false);
  });

  it('changes neither the options nor the defaults', () => {
    const before = JSON.stringify(CONNECTION_DEFAULTS);
    const options = Object.freeze({ pool: Object.freeze({ size: 2 }) });
    resolve(options);
    expect(JSON.stringify(CONNECTION_DEFAULTS)).toBe(before);
  });
});

describe('topologyOf', () => {
  it.each<[ConnectionOptions, string]>([
    [{}, 'standalone'],
    [{ host: 'a' }, 'standalone'],
    [{ cluster: { nodes: ['a:1'] } }, 'cluster'],
    [{ sentinel: { name: 'm', nodes: ['a:1'] } }, 'sentinel'],
    [{ topology: 'embedded', host: 'a' }, 'embedded'],
  ])('%j is %s', (options, topology) => {
    expect(topologyOf(options)).toBe(topology);
  });
});
