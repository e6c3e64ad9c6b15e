/** What the contract of the locks runs on, and what its cases share. */
import { LockService } from '../../../src/lock/index.js';
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

/** A service whose questions for a lock are executed at once, and answered late while answers are held back. */
export interface LateLocks {
  readonly locks: LockService;
  /** How many questions were executed. */
  readonly asked: () => number;
  readonly holdBack: () => void;
  readonly letGo: () => void;
}

export function withLateAnswers({ client, namespace }: LockSubject): LateLocks {
  let answers = gate();
  let asked = 0;
  answers.open();
  const run: RedisClient['run'] = async (script, ...rest) => {
    const answer = await client.run(script, ...rest);
    if (!script.name.startsWith('lock.take')) return answer;
    asked += 1;
    await answers.opened;
    return answer;
  };
  const late = new Proxy(client, {
    get: (inner, name) => {
      if (name === 'run') return run;
      const value: unknown = Reflect.get(inner, name);
      return typeof value === 'function' ? (value.bind(inner) as unknown) : value;
    },
  });
  return {
    locks: new LockService({ client: late, namespace }),
    asked: () => asked,
    holdBack: () => {
      answers = gate();
    },
    letGo: () => answers.open(),
  };
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
