/**
 * A load that fell to this process: the loader runs, and what it brings is stored, if nothing of it was
 * invalidated meanwhile, and handed to those who may have it.
 */
import { spans, type Clock, type Timer } from '../../core/index.js';
import type { CacheKeys } from '../cache.keys.js';
import type { ResolvedCache } from '../cache.options.js';
import type { CacheCounters } from '../cache-stats.js';
import { codeOf, type EventDetail } from '../cache-events.js';
import { lifetimeOf } from '../call.options.js';
import { jittered } from './early-refresh.js';
import type { Fence } from '../fence.js';
import type { Answer, Flight, LoadRequest } from './flight.js';
import { LoadAbort } from './load-abort.js';
import { describeFailure } from './load-failure.js';
import { KEYS_AT_ONCE, LoadPace } from './load-pace.js';
import type { LoadSlots } from './load-slots.js';
import { isInsideLoad, loadSpan, runLoader, runTraced, type LoadResult, type LoadRun } from './loader-run.js';
import type { CacheEntry, Store } from '../store.js';

export interface OwnLoadsParts {
  /** Name of the cache. */
  readonly cache: string;
  readonly store: Store;
  readonly fence: Fence;
  readonly keys: CacheKeys;
  readonly counters: CacheCounters;
  readonly settings: ResolvedCache;
  readonly slots: LoadSlots;
  readonly clock: Clock;
  readonly random: () => number;
  /** Told of what nobody is there to hear. */
  readonly report: (what: string, outcome: string, detail?: EventDetail) => void;
}

/** Our lease, and the clock that was read with it, before the loader runs. */
export interface Lease {
  readonly token: string;
  readonly clock: number;
  readonly request: LoadRequest;
}

interface Loaded {
  readonly result: LoadResult;
  /** Callers below it had joined before the loader ran, so whatever it saw is new enough for them. */
  readonly began: number;
  /** All who waited have left; who has joined since is owed a load of their own. */
  readonly aborted: boolean;
}

type LoadedValue = Extract<LoadResult, { kind: 'value' }>;

export class OwnLoads {
  readonly #parts: OwnLoadsParts;
  /** Of loads of many keys. */
  readonly #pace: LoadPace;
  /** Ahead of all that waits for its pace: leases must not run out behind it. */
  readonly #renewals = new LoadPace(KEYS_AT_ONCE);

  constructor(parts: OwnLoadsParts, pace: LoadPace) {
    this.#parts = parts;
    this.#pace = pace;
  }

  async underLease(flight: Flight, lease: Lease): Promise<void> {
    const stopRenewing = this.#keepRenewing(flight.key, lease);
    const loaded = await this.#load(flight, lease.request, lease.token);
    const end = (): Promise<void> => this.#end(flight, lease, loaded);
    try {
      await (lease.request.batched ? this.#pace.run(end) : end());
    } finally {
      stopRenewing();
    }
  }

  async #end(flight: Flight, lease: Lease, { result, began, aborted }: Loaded): Promise<void> {
    flight.background = undefined;
    flight.lookAgain = true;
    if (aborted) await this.giveBack(flight.key, lease.token);
    else if (result.kind === 'failed') await this.#shareFailure(flight, lease, result.error);
    else if (result.value === undefined || result.skipped)
      await this.#endUnstored(flight, lease, { result, began });
    else await this.#store(flight, lease, { result, began });
  }

  /** Never rejects. */
  async giveBack(key: string, token: string): Promise<void> {
    await this.#parts.store.release(key, token, { outcome: 'gone' }).catch(this.#noFence);
  }

  /** Redis is away, or others take the lease again and again: the value is for those who waited for it. */
  async alone(flight: Flight, request: LoadRequest): Promise<void> {
    const outcome = flight.reachable ? 'loaded' : 'bypass';
    if (outcome === 'bypass') this.#parts.counters.add('bypassed');
    const remake = this.#parts.store.remaker?.(flight.key);
    const { result, began, aborted } = await this.#load(flight, request);
    flight.background = undefined;
    flight.lookAgain = true;
    if (aborted) return;
    if (result.kind === 'failed') {
      flight.fail(flight.cut, result.error);
      return;
    }
    if (!result.skipped && result.value !== undefined) {
      remake?.(this.#entryOf(result, { token: '', clock: this.#parts.fence.seen, request }));
    }
    flight.deliver(began, { value: result.value, outcome });
  }

  async #load(flight: Flight, request: LoadRequest, token?: string): Promise<Loaded> {
    const { slots, counters, clock, keys } = this.#parts;
    const abort = new LoadAbort();
    flight.controller = abort;
    flight.settleOnLoaderOf(request);
    let leave: (() => void) | undefined;
    try {
      if (!request.batched && !isInsideLoad()) {
        const taken = slots.take(abort, flight.haste);
        leave = taken instanceof Promise ? await taken : taken;
      }
      const began = flight.cut;
      counters.add('loads');
      const startedAt = clock.now();
      const run = { abort, clock, keys, loads: this, token, haste: flight.haste };
      const result = await this.#run(request, run, !flight.awaited);
      const loaded = result.kind === 'failed' ? codeOf(result.error) : 'ok';
      this.#parts.report('load', loaded, { key: request.key, durationMs: clock.now() - startedAt });
      if (result.kind === 'failed') counters.add('loadFailures');
      return { result, began, aborted: abort.abandoned };
    } catch (error) {
      // Its time was over before its turn had come: nothing was asked of the origin, so nothing has failed.
      return { result: { kind: 'failed', error }, began: flight.cut, aborted: abort.ended };
    } finally {
      leave?.();
      flight.busy = false;
      flight.controller = undefined;
    }
  }

  /** One for many keys tells of itself. */
  #run(request: LoadRequest, run: LoadRun, refresh: boolean): Promise<LoadResult> {
    const { cache } = this.#parts;
    return spans.active && !request.batched
      ? runTraced(request, run, loadSpan(cache, refresh))
      : runLoader(request, run);
  }

  async #shareFailure(flight: Flight, lease: Lease, error: unknown): Promise<void> {
    const { store, report } = this.#parts;
    if (!flight.awaited) report('load-failed', nameOf(error));
    const failure = describeFailure(error);
    const releasing = store.release(flight.key, lease.token, { outcome: 'failed', failure });
    flight.fail(flight.cut, error);
    await releasing.catch(() => this.#parts.counters.add('failures'));
  }

  /** Nothing to store: others learn that there was nothing, or load for themselves what is not to be shared. */
  async #endUnstored(
    flight: Flight,
    lease: Lease,
    { result, began }: { result: LoadedValue; began: number },
  ): Promise<void> {
    const { store, fence } = this.#parts;
    const { cut } = flight;
    const outcome = result.value === undefined ? 'nothing' : 'gone';
    const held = await Promise.all([
      store.release(flight.key, lease.token, { outcome }),
      fence.holds(this.#parts.keys.tags(result.tags), lease.clock),
    ]).then((both) => both.every(Boolean), this.#noFence);
    flight.deliver(held ? cut : began, { value: result.value, outcome: 'loaded' });
  }

  async #store(
    flight: Flight,
    lease: Lease,
    { result, began }: { result: LoadedValue; began: number },
  ): Promise<void> {
    const { counters, settings } = this.#parts;
    const entry = this.#entryOf(result, lease);
    const answer: Answer = { value: result.value, outcome: 'loaded' };
    let cut = began;
    try {
      await this.#registerLateTags(lease, result);
      const asOf = flight.cut;
      if (await this.#fill(flight.key, entry, lease)) {
        cut = asOf;
        counters.add('writes');
        this.#parts.report('save', 'ok', { key: flight.key, by: 'load' });
      } else counters.add('refusedFills');
    } catch (error) {
      const unstorable = Reflect.get(Object(error), 'code') === 'VALUE_UNSERIALIZABLE';
      counters.add('failedWrites');
      counters.add(unstorable ? 'unstorable' : 'failures');
      const givingBack = this.giveBack(flight.key, lease.token);
      // Whoever waits for the value does not wait for one more deadline when Redis is away.
      if (unstorable) await givingBack;
      this.#parts.report('not-stored', nameOf(error));
      if (settings.strict && !unstorable) flight.fail(flight.cut, error);
    }
    flight.deliver(cut, answer);
  }

  /** Stores it, and looks at the tags once more: a fence in another slot can not be part of the same step. */
  async #fill(key: string, entry: CacheEntry, lease: Lease): Promise<boolean> {
    const { store, fence } = this.#parts;
    const filling = store.fill(key, entry, lease.token);
    const holding = fence.holds(this.#parts.keys.tags(entry.tags), entry.clock);
    holding.catch(ignore);
    const stored = await filling;
    return (await holding) && stored;
  }

  /** Tags that were known only after the load, or that what it brought outlives. */
  async #registerLateTags(lease: Lease, { tags, ttlMs }: LoadedValue): Promise<void> {
    const { options } = lease.request;
    const [expectedMs, lifetimeMs] = [lifetimeOf(options), lifetimeOf({ ...options, ttlMs })];
    const isCovered = expectedMs === 0 || (lifetimeMs !== 0 && lifetimeMs <= expectedMs);
    if (tags.length === 0 || (tags === options.tags && isCovered)) return;
    const { fence } = this.#parts;
    const unregistered = await fence.unregistered(this.#parts.keys.tags(tags), lifetimeMs);
    if (unregistered.length > 0) await fence.register(unregistered, lease.clock, lifetimeMs);
  }

  #entryOf(result: LoadedValue, { clock, request }: Lease): CacheEntry {
    const { settings, random } = this.#parts;
    const now = this.#parts.clock.wallNow();
    const ttlMs = result.ttlMs === undefined ? undefined : jittered(result.ttlMs, settings.jitter, random);
    const { staleMs, staleOnErrorMs } = request.options;
    return {
      value: result.value,
      createdAt: now,
      softExpiresAt: ttlMs === undefined ? undefined : now + ttlMs,
      expiresAt: ttlMs === undefined ? undefined : now + ttlMs + Math.max(staleMs, staleOnErrorMs),
      clock,
      loadMs: result.loadMs,
      negative: result.value === null,
      tags: result.tags,
    };
  }

  /** A loader longer than the lease is fine: the lease lives as long as this process does. */
  #keepRenewing(key: string, { token, request }: Lease): () => void {
    const { store, settings, clock } = this.#parts;
    let timer: Timer | undefined;
    let stopped = false;
    const leaseMs = leaseMsOf(request, settings);
    const renew = (): Promise<boolean> => store.renew(key, token, leaseMs);
    const schedule = (): void => {
      timer = clock.after(leaseMs / 3, () => {
        (request.batched ? this.#renewals.run(renew) : renew()).then(
          (ours) => {
            if (ours && !stopped) schedule();
          },
          () => {
            if (!stopped) schedule();
          },
        );
      });
    };
    schedule();
    return () => {
      stopped = true;
      timer?.cancel();
    };
  }

  readonly #noFence = (): false => {
    this.#parts.counters.add('failures');
    return false;
  };
}

export function leaseMsOf({ moreLeaseMs = 0 }: LoadRequest, { leaseMs }: ResolvedCache): number {
  return leaseMs + moreLeaseMs;
}

function ignore(): void {
  // Whoever needs it hears of it.
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
