/** Removing many keys by name, on all nodes, in batches that hold no server up. */
import type { RedisClient } from '../connection/index.js';
import type { CacheKeys, Sweep } from './cache.keys.js';
import type { Store } from './store.js';

export interface SweepParts {
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly store: Store;
}

/** Names per round trip of SCAN, and removals under way at once. */
const BATCH = 500;

/**
 * Leases first: a load that began before the call either still has its lease when the first scan passes, and
 * loses it, or has stored its value before the second scan starts, which then finds it. Loads that begin later
 * have seen what the caller changed.
 *
 * @returns how many values were removed
 */
export async function removeUnder(
  parts: SweepParts,
  prefix: readonly (string | number)[] | string | undefined,
): Promise<number> {
  const { keys, store } = parts;
  const values = keys.valuesUnder(prefix);
  // Those in this process do not wait for a server to be asked, nor for one that does not answer.
  store.forget?.(values.holds);
  const fenced = await sweep(parts, keys.leasesUnder(prefix), (lease) => keys.valueOfLease(lease));
  const removed = await sweep(parts, values, (value) => value);
  return fenced + removed;
}

async function sweep(
  { client, store }: SweepParts,
  { match, holds }: Sweep,
  toValue: (name: string) => string,
): Promise<number> {
  let removed = 0;
  for await (const names of client.scan({ match, count: BATCH })) {
    const values = names.filter(holds).map(toValue);
    for (let at = 0; at < values.length; at += BATCH) {
      removed += await store.remove(values.slice(at, at + BATCH));
    }
  }
  return removed;
}
