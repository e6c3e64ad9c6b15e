/** What the contract of the locks runs on, and what its cases share. */
import type { LockService } from '../../../src/lock/index.js';
import type { RedisClient } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';

export interface LockSubject {
  readonly locks: LockService;
  /** The same store from outside: for what others do to it. */
  readonly client: RedisClient;
  /** First segment of all keys. */
  readonly namespace: string;
}

export type LockCase = ContractCase<LockSubject>;

export type LockFamily = 'lock' | 'lock-fence' | 'lock-queue' | 'lock-turn';

/** The name of a key in Redis. */
export function rawKey({ namespace }: LockSubject, family: LockFamily, key: string): string {
  return `${namespace}:v1:${family}:{${key}}`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** A promise that is settled from outside. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
