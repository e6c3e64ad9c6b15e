/**
 * Tells Redis what was changed while it was away. First everything that removes, from the beginning each time it is
 * tried: a server that was lost meanwhile may have lost that, too. Then what adds, each thing once: a count whose
 * outcome is unknown is not sent again.
 */
import { escapeGlob, type RedisClient } from '../../connection/index.js';
import type { Clock } from '../../core/index.js';
import type { CacheContract } from '../cache-contract.js';
import type { CacheKeys } from '../cache.keys.js';
import type { Journal, JournalView, KeyDebt } from './fallback-journal.js';
import { passes, wasNotExecuted } from './fallback-loss.js';

export interface ReplayParts {
  readonly journal: Journal;
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly clock: Clock;
  /** Names of the caches that were used. */
  readonly names: () => readonly string[];
  readonly primary: (name: string) => CacheContract;
  readonly standby: (name: string) => CacheContract;
  /** An increment that may have been lost. */
  readonly onDropped: () => void;
}

/** Calls under way at once: well below what a connection takes before it refuses. */
const BATCH = 200;
const SCAN_COUNT = 500;

export async function replay(parts: ReplayParts): Promise<void> {
  const { journal } = parts;
  const view = journal.view();
  await invalidate(parts, view);
  // What was changed once more since is not finished yet, and comes with the next round.
  const debts = view.keys.filter(({ version }) => version <= view.version);
  journal.invalidated(view);
  await inBatches(debts, (debt) => pay(parts, debt));
}

async function invalidate(parts: ReplayParts, view: JournalView): Promise<void> {
  const { primary } = parts;
  if (view.overflowed) await flushNamespace(parts);
  for (const name of view.flushes) await primary(name).flush();
  for (const { cache, prefix } of view.prefixes) await primary(cache).deletePrefix(prefix);
  // Tags are common to all caches: any of them will do.
  const [name = ''] = parts.names();
  for (let at = 0; at < view.tags.length; at += BATCH) {
    await primary(name).invalidateTags(view.tags.slice(at, at + BATCH));
  }
  const removals = view.keys.filter(({ remove }) => remove);
  await inBatches(removals, ({ cache, key }) => primary(cache).delete(key));
}

/** Nobody knows any more what was changed: all caches of the namespace go, those of other processes too. */
async function flushNamespace({ names, primary, client, keys }: ReplayParts): Promise<void> {
  for (const name of names()) await primary(name).flush();
  for (const family of [keys.leases, keys.tracked.values]) {
    for await (const found of client.scan({ match: `${escapeGlob(family)}*`, count: SCAN_COUNT })) {
      await inBatches(found, (key) => client.command('UNLINK', [key]));
    }
  }
}

async function pay(parts: ReplayParts, debt: KeyDebt): Promise<void> {
  if (debt.delta !== 0) await payDelta(parts, debt);
  if (debt.fields.size > 0) await payFields(parts, debt);
  if (debt.expiry !== undefined) await payExpiry(parts, debt);
  parts.journal.settle(debt);
}

async function payDelta({ journal, primary, clock, onDropped }: ReplayParts, debt: KeyDebt): Promise<void> {
  const { removals, endsAt } = debt;
  const delta = journal.takeDelta(debt);
  const leftMs = leftOf(endsAt, clock);
  // The counter that it was meant for would have expired by now.
  if (leftMs !== undefined && leftMs <= 0) return;
  try {
    await primary(debt.cache).incr(debt.key, delta, ttlOf(leftMs));
  } catch (error) {
    if (!passes(error)) onDropped();
    else {
      if (wasNotExecuted(error)) journal.giveBackDelta(debt, delta, removals);
      else onDropped();
      throw error;
    }
  }
}

/**
 * The values are those that the standby holds now. A field that it had no room for is lost, and so is one whose time
 * is over: what Redis held of it before must not be read any more.
 */
async function payFields(parts: ReplayParts, debt: KeyDebt): Promise<void> {
  const { journal, client, primary, clock } = parts;
  const { removals, endsAt, cache, key, full } = debt;
  const fields = journal.takeFields(debt);
  const leftMs = leftOf(endsAt, clock);
  try {
    const isOver = leftMs !== undefined && leftMs <= 0;
    const held = await heldFields(parts, debt, isOver ? [] : fields);
    const gone = fields.filter((field) => !held.has(field));
    if (gone.length > 0) await client.command('HDEL', [full, ...gone]);
    if (held.size > 0) await primary(cache).hset(key, Object.fromEntries(held), ttlOf(leftMs));
  } catch (error) {
    if (!passes(error)) return;
    journal.giveBackFields(debt, fields, removals);
    throw error;
  }
}

async function heldFields(
  { standby }: ReplayParts,
  { cache, key }: KeyDebt,
  fields: readonly string[],
): Promise<ReadonlyMap<string, unknown>> {
  const values = await Promise.all(fields.map((field) => standby(cache).hget(key, field)));
  const pairs = fields.map((field, i) => [field, values[i]] as const);
  return new Map(pairs.filter(([, value]) => value !== undefined));
}

async function payExpiry({ primary, clock }: ReplayParts, debt: KeyDebt): Promise<void> {
  const { expiry, cache, key } = debt;
  if (expiry === undefined) return;
  const leftMs = expiry === 'never' ? undefined : expiry - clock.wallNow();
  if (leftMs !== undefined && leftMs <= 0) await primary(cache).delete(key);
  else {
    await primary(cache)
      .expire(key, ttlOf(leftMs).ttl)
      .catch((error: unknown) => {
        if (passes(error)) throw error;
        return primary(cache).delete(key);
      });
  }
  if (debt.expiry === expiry) debt.expiry = undefined;
}

function leftOf(endsAt: number | undefined, clock: Clock): number | undefined {
  return endsAt === undefined ? undefined : endsAt - clock.wallNow();
}

function ttlOf(leftMs: number | undefined): { ttl: `${number}ms` | 'never' } {
  return { ttl: leftMs === undefined ? 'never' : `${Math.max(1, Math.ceil(leftMs))}ms` };
}

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += BATCH) {
    // All of them settle before the first failure is told: none goes on behind the next try.
    const outcomes = await Promise.allSettled(items.slice(at, at + BATCH).map(work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}
