/** What the contract of the limiter runs on, and what its cases share. */
import type { RedisClient } from '../../../src/connection/index.js';
import {
  RateLimitKeys,
  type Limit,
  type RateDecision,
  type RateLimiter,
} from '../../../src/rate-limit/index.js';
import type { ContractCase } from '../contract.js';

export interface RateLimitSubject {
  readonly limiter: RateLimiter;
  /** The same store from outside: for what lies there. */
  readonly client: RedisClient;
  /** First segment of all keys. */
  readonly namespace: string;
}

export type RateLimitCase = ContractCase<RateLimitSubject>;

/** Windows so long that nothing comes back while a case runs. */
export const EACH_ALGORITHM: readonly Limit[] = [
  { name: 'gcra', algorithm: 'gcra', limit: 5, window: '1000d' },
  { name: 'sliding', algorithm: 'sliding-window', limit: 5, window: '1000d' },
  { name: 'fixed', algorithm: 'fixed-window', limit: 5, window: '1000d' },
  { name: 'places', algorithm: 'concurrency', limit: 5, hold: '10m' },
];

export const COUNTING = EACH_ALGORITHM.filter(({ algorithm }) => algorithm !== 'concurrency');

export interface Stored {
  readonly key: string;
  readonly type: unknown;
  readonly value: unknown;
  readonly expiresAt: number;
}

/** Everything the limiter has written for a subject. */
export async function storedFor(
  { client, namespace }: RateLimitSubject,
  subject: string,
  limits: readonly Limit[],
): Promise<readonly Stored[]> {
  const keys = new RateLimitKeys(namespace);
  const codes = { gcra: 'g', 'sliding-window': 's', 'fixed-window': 'f', concurrency: 'c' } as const;
  const names = limits.flatMap(({ name = 'default', algorithm = 'gcra' }) => {
    const its = { name, code: codes[algorithm] };
    return [keys.limit(keys.subject(subject), its), keys.penalty(keys.subject(subject), its)];
  });
  const found = await Promise.all(names.map((key) => look(client, key)));
  return found.filter(({ type }) => type !== 'none');
}

async function look(client: RedisClient, key: string): Promise<Stored> {
  const [type, value, members, expiresAt] = await client.pipeline([
    { name: 'TYPE', args: [key] },
    { name: 'GET', args: [key] },
    { name: 'ZRANGE', args: [key, 0, -1, 'WITHSCORES'] },
    { name: 'PEXPIRETIME', args: [key] },
  ]);
  const plain = value?.ok === true ? value : members;
  return {
    key,
    type: type?.ok === true ? type.value : 'unknown',
    value: plain?.ok === true ? plain.value : undefined,
    expiresAt: expiresAt?.ok === true ? Number(expiresAt.value) : Number.NaN,
  };
}

export async function times<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  for (let i = 0; i < count; i += 1) out.push(await work(i));
  return out;
}

export function allowedOf(decisions: readonly RateDecision[]): number {
  return decisions.filter(({ allowed }) => allowed).length;
}
