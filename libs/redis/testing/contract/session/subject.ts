/** What the cases of the session contract share. */
import type { RedisClient } from '../../../src/connection/index.js';
import type { SessionOptions, SessionService } from '../../../src/session/index.js';
import type { ContractCase } from '../contract.js';

export interface Account {
  name: string;
  cart: string[];
  seen: Date;
  visits: number;
  theme: string;
}

export interface SessionSubject {
  /** Services over the same store, each as another process would have it. */
  readonly open: (options?: SessionOptions) => SessionService<Account>;
  readonly client: RedisClient;
  readonly namespace: string;
}

export type SessionCase = ContractCase<SessionSubject>;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Users differ from case to case, so that cases can share a server. */
export function userOf(key: (name: string) => string): string {
  return key('user');
}
