/** Options of locks: what users write, what the engine works with, and the one way from one to the other. */
import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidLockOptionsError } from './lock.errors.js';

export interface LockOptions {
  /**
   * After that a lock whose holder died, or stopped, is free again; a holder that lives renews it. A number
   * counts seconds. @default '10s'
   */
  ttl?: Duration | undefined;
  /** How long to wait while somebody else holds it; `'0s'` for not at all. @default '5s' */
  wait?: Duration | 'forever' | undefined;
  /**
   * `'fifo'` hands it on in the order of arrival, among all processes. `'any'` keeps that order within a process
   * and is cheaper. Use one of them for a key. @default 'any'
   */
  order?: 'any' | 'fifo' | undefined;
  /** `false`: the lock ends after its `ttl`, come what may. @default true */
  renew?: boolean | undefined;
  /**
   * What happens when the work under a lock asks for the same lock: `'refuse'` rejects with `LOCK_REENTRY`,
   * `'join'` runs under the lock that is held already. @default 'refuse'
   */
  reentry?: 'refuse' | 'join' | undefined;
}

export interface LockCallOptions extends LockOptions {
  /** Ends the waiting; a lock that is held is not affected. */
  signal?: AbortSignal | undefined;
}

export interface ResolvedLock {
  readonly ttlMs: number;
  /** `Infinity` for ever. */
  readonly waitMs: number;
  readonly fifo: boolean;
  readonly renew: boolean;
  readonly join: boolean;
}

export const LOCK_DEFAULTS = {
  ttl: '10s',
  wait: '5s',
  order: 'any',
  renew: true,
  reentry: 'refuse',
} as const;

/** A lock is renewed three times in its life, and each renewal has to get through. */
const SHORTEST_TTL_MS = 100;

export function resolveLock(options: LockOptions = {}): ResolvedLock {
  const { wait = LOCK_DEFAULTS.wait, order = LOCK_DEFAULTS.order, reentry = LOCK_DEFAULTS.reentry } = options;
  return {
    ttlMs: ttlOf(options.ttl ?? LOCK_DEFAULTS.ttl),
    waitMs: wait === 'forever' ? Infinity : parseDuration(wait, 'lock.wait'),
    fifo: oneOf('order', order, ['any', 'fifo']) === 'fifo',
    renew: options.renew ?? LOCK_DEFAULTS.renew,
    join: oneOf('reentry', reentry, ['refuse', 'join']) === 'join',
  };
}

function ttlOf(value: Duration): number {
  const ms = parsePositiveDuration(value, 'lock.ttl');
  if (ms >= SHORTEST_TTL_MS) return ms;
  throw new InvalidLockOptionsError(`lock.ttl: '${String(value)}' is shorter than ${SHORTEST_TTL_MS} ms`);
}

function oneOf(name: string, value: string, choices: readonly string[]): string {
  if (choices.includes(value)) return value;
  throw new InvalidLockOptionsError(
    `lock.${name}: '${value.slice(0, 40)}' is none of ${choices.map((choice) => `'${choice}'`).join(', ')}`,
  );
}
