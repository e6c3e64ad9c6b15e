/**
 * What ioredis is told, per profile. Its own retrying, resending and queueing are off everywhere: a command
 * is sent once, and what happens after that is decided in one place, `resilient-client.ts`.
 */
import type { RedisOptions } from 'ioredis';
import type { Address, PasswordSource, ResolvedConnection, TlsOptions } from './connection.options.js';

/** Without `replyMapping`: replies keep the flat shapes ioredis gives by default. */
export type DriverOptions = Omit<RedisOptions, 'replyMapping'>;

export interface DriverTarget {
  readonly address: Address;
  readonly username: string | undefined;
  readonly password: PasswordSource | undefined;
  readonly tls: TlsOptions | undefined;
  readonly db: number;
  readonly connectTimeoutMs: number;
  /** Seen in `CLIENT LIST`. */
  readonly connectionName: string;
}

/** For calls that share a connection: fail fast, never queue, never repeat. */
export async function commandProfile(target: DriverTarget): Promise<DriverOptions> {
  const { address, username, tls } = target;
  const password = await readPassword(target.password);
  return {
    host: address.host,
    port: address.port,
    db: target.db,
    connectionName: target.connectionName,
    connectTimeout: target.connectTimeoutMs,
    keepAlive: 5_000,
    noDelay: true,
    // RESP3 has other shapes for the same replies (pairs, maps, doubles); RESP2 has one, also inside scripts.
    protocol: 2,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableReadyCheck: false,
    disableClientInfo: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** For subscriptions: RESP2, so that a message can not be mistaken for a reply. */
export async function subscriberProfile(target: DriverTarget): Promise<DriverOptions> {
  return { ...(await commandProfile(target)), protocol: 2 };
}

export function targetOf(connection: ResolvedConnection, address: Address): DriverTarget {
  return {
    address,
    username: connection.username,
    password: connection.password,
    tls: connection.tls,
    db: connection.db,
    connectTimeoutMs: connection.connectTimeoutMs,
    connectionName: `anbar:${connection.name}`,
  };
}

export async function readPassword(source: PasswordSource | undefined): Promise<string | undefined> {
  return typeof source === 'function' ? source() : source;
}

export function formatAddress(address: Address): string {
  return `${address.host}:${address.port}`;
}

/** `host:port` as Redis writes it, IPv6 included (`::1:6379`, `[::1]:6379`). */
export function parseAddress(text: string): Address | undefined {
  const at = text.lastIndexOf(':');
  const host = text.slice(0, at).replace(/^\[|\]$/gu, '');
  const port = Number(text.slice(at + 1).replace(/@.*$/u, ''));
  return at === -1 || !Number.isInteger(port) ? undefined : { host, port };
}
