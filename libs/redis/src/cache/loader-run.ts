/** One run of a user's loader: what it is told, what it decides, and how long it may take. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { withDeadline, type Clock } from '../core/index.js';
import { distinct, type LoadContext } from './call.options.js';
import { ttlOf } from './cache.options.js';
import { timedOut, type LoadRequest } from './flight.js';

export type LoadResult =
  | {
      readonly kind: 'value';
      readonly value: unknown;
      readonly ttlMs: number | undefined;
      readonly tags: readonly string[];
      readonly loadMs: number;
      readonly skipped: boolean;
    }
  | { readonly kind: 'failed'; readonly error: unknown };

/** The keys that are being loaded around the running code, the innermost last. */
const loading = new AsyncLocalStorage<readonly string[]>();

/** A load for a key inside a load of the same key would wait for itself. */
export function isLoadingAround(key: string): boolean {
  return loading.getStore()?.includes(key) === true;
}

/** Inside a loader: it holds a place under the cap already, and waiting for another could be for ever. */
export function isInsideLoad(): boolean {
  return loading.getStore() !== undefined;
}

/** Work that outlives whoever starts it does not count as part of their load. */
export function outsideLoads<T>(work: () => T): T {
  return loading.exit(work);
}

class Decisions {
  ttlMs: number | undefined;
  tags: readonly string[];
  skipped = false;
  ttlGiven = false;

  constructor(tags: readonly string[]) {
    this.tags = tags;
  }
}

export async function runLoader(
  request: LoadRequest,
  { signal, clock }: { signal: AbortSignal; clock: Clock },
): Promise<LoadResult> {
  const { options } = request;
  const decisions = new Decisions(options.tags);
  const startedAt = clock.now();
  const scope = [...(loading.getStore() ?? []), request.key];
  try {
    const value: unknown = await withDeadline(
      (inner) => loading.run(scope, async () => request.loader(contextOf(request, inner, decisions))),
      {
        timeoutMs: options.hardTimeoutMs,
        what: 'load',
        signal,
        clock,
        onTimeout: () => timedOut(options.hardTimeoutMs),
      },
    );
    const loadMs = clock.now() - startedAt;
    const { tags, skipped } = decisions;
    return { kind: 'value', value, ttlMs: lifetimeOf(value, request, decisions), tags, loadMs, skipped };
  } catch (error) {
    return { kind: 'failed', error };
  }
}

function contextOf(request: LoadRequest, signal: AbortSignal, decisions: Decisions): LoadContext {
  return {
    key: request.userKey,
    signal,
    stale: request.stale?.value,
    setTtl: (ttl) => {
      decisions.ttlMs = ttlOf(ttl);
      decisions.ttlGiven = true;
    },
    setTags: (tags) => {
      decisions.tags = distinct(tags);
    },
    skip: () => {
      decisions.skipped = true;
    },
  };
}

function lifetimeOf(value: unknown, { options }: LoadRequest, decisions: Decisions): number | undefined {
  if (decisions.ttlGiven) return decisions.ttlMs;
  return value === null ? (options.negativeTtlMs ?? options.ttlMs) : options.ttlMs;
}
