/** Keys of locks always expire. One that has lost its expiry would be held for ever by somebody who may be long gone. */
import { leftoverRule, type CleanupRule } from '../connection/index.js';
import { LockKeys } from './lock.keys.js';
import { KEEP_FENCE_MS, KEEP_QUEUE_MS, KEEP_TURN_MS } from './lock.scripts.js';

/** A holder that lives renews it long before; it is not taken from one that was told to do without renewal. */
const KEEP_HELD_MS = 3_600_000;

export function lockCleanup(namespace: string): readonly CleanupRule[] {
  const { held, fence, queue, turn } = new LockKeys(namespace).names('x');
  const kinds = [
    [held, KEEP_HELD_MS],
    [fence, KEEP_FENCE_MS],
    [queue, KEEP_QUEUE_MS],
    [turn, KEEP_TURN_MS],
  ] as const;
  return kinds.map(([sample, graceMs]) => {
    const prefix = sample.slice(0, -'x}'.length);
    return leftoverRule({ name: 'lock', prefix, holds: (key) => isNamed(key.slice(prefix.length)) }, graceMs);
  });
}

function isNamed(rest: string): boolean {
  return /^[^{}]+\}$/u.test(rest);
}
