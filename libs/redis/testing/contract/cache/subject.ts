/** What the contract of the cache runs on, and what its cases share. */
import type { CacheContract, CacheOptions } from '../../../src/cache/index.js';
import type { RedisClient } from '../../../src/connection/index.js';
import type { ContractCase, ContractTools } from '../contract.js';

export interface CacheSubject {
  readonly cache: CacheContract;
  /** The same store from outside: for what others do to it. */
  readonly client: RedisClient;
  /** First segment of all keys. */
  readonly namespace: string;
}

export type CacheCase = ContractCase<CacheSubject>;
export type CacheTools = ContractTools<CacheSubject>;

/** A cache of this case alone, without the random part of expiries. */
export function cacheOf(
  { cache }: CacheSubject,
  { key }: CacheTools,
  options: CacheOptions = {},
): CacheContract {
  return cache.namespace(key('cache'), { jitter: 0, earlyRefresh: false, ...options });
}

/** The same named cache in what stands for another process. */
export async function elsewhere(tools: CacheTools, options: CacheOptions = {}): Promise<CacheContract> {
  const cache = cacheOf(await tools.another(), tools, options);
  // Connected before the case begins: what is to happen meanwhile would otherwise be over.
  await cache.get('connected');
  return cache;
}

/** Raw keys of this case's cache. */
export function rawKey(
  { namespace }: CacheSubject,
  { key }: CacheTools,
  { family, name }: { family: 'cache' | 'lease'; name: string },
): string {
  return `${namespace}:v1:${family}:${key('cache').replaceAll(':', '%3A')}:{${name}}`;
}

export function tagKey({ namespace }: CacheSubject, tag: string): string {
  return `${namespace}:v1:tag:{${tag}}`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** A promise that is settled from outside. */
interface Gate<T = void> {
  readonly opened: Promise<T>;
  open(value: T): void;
}

function gate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open: (value) => open(value) };
}

/** A loader that stops where the test wants it to, and reads the origin before it does: the dangerous order. */
export class SlowOrigin<T> {
  calls = 0;
  value: T;
  readonly #gates: Gate[] = [];
  #started = gate();

  constructor(value: T) {
    this.value = value;
  }

  readonly load = async (): Promise<T> => {
    const seen = this.value;
    this.calls += 1;
    const wait = gate();
    this.#gates.push(wait);
    this.#started.open();
    await wait.opened;
    return seen;
  };

  /** Settles when the next call has read the origin. */
  async started(): Promise<void> {
    await this.#started.opened;
    this.#started = gate();
  }

  /** Lets all calls so far return. */
  finish(): void {
    for (const wait of this.#gates.splice(0)) wait.open();
  }
}
