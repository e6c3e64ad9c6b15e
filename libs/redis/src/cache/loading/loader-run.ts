/** One run of a user's loader: what it is told, what it decides, and how long it may take. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { spans, type Clock, type SpanPlan, type Timer } from '../../core/index.js';
import { codeOf } from '../cache-events.js';
import type { CacheKeys } from '../cache.keys.js';
import { distinct, type LoadContext } from '../call.options.js';
import { ttlOf } from '../cache.options.js';
import { timedOut, type LoadRequest } from './flight.js';
import type { LoadAbort } from './load-abort.js';
import type { LoadHaste } from './load-haste.js';

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

/** A load, for the code that its loader runs; what the loader has left behind still sees it when it is over. */
export interface LoadScope {
  /** Whose load it is: keys of one text may lie on several servers. */
  readonly loads: object;
  readonly key: string;
  /** Its lease; undefined where it has none. */
  readonly token: string | undefined;
  readonly haste: LoadHaste;
  /** The loads of the other keys, where one loader runs for many. */
  readonly others?: ReadonlyMap<string, LoadScope>;
  /** The load it is part of. */
  readonly around: LoadScope | undefined;
  over: boolean;
}

const loading = new AsyncLocalStorage<LoadScope>();

/** A load for a key inside a load of the same key would wait for itself. */
export function isLoadingAround(loads: object, key: string): boolean {
  return isWithin((scope) => {
    const load = scope.others?.get(key) ?? scope;
    return load.key === key && load.loads === loads && !load.over;
  });
}

/** Another cache on the same server would wait for the lease of a load that waits for it. */
export function isLeasedAround(token: string): boolean {
  return isWithin(({ token: held, others }) => {
    if (others === undefined) return held === token;
    return [...others.values()].some((load) => load.token === token && !load.over);
  });
}

/** Inside a loader: it holds a place under the cap already, and waiting for another could be for ever. */
export function isInsideLoad(): boolean {
  return isWithin(() => true);
}

/** The load that the running code is part of. */
export function scopeHere(): LoadScope | undefined {
  return loading.getStore();
}

/** Runs the loader of many keys as part of all their loads. */
export async function insideLoads<T>(scopes: readonly LoadScope[], load: () => T | Promise<T>): Promise<T> {
  const [first] = scopes;
  if (first === undefined) return load();
  const others = new Map(scopes.map((scope) => [scope.key, scope]));
  const scope: LoadScope = { ...first, others, over: false };
  try {
    return await loading.run(scope, load);
  } finally {
    scope.over = true;
  }
}

function isWithin(fits: (scope: LoadScope) => boolean): boolean {
  for (let scope = loading.getStore(); scope !== undefined; scope = scope.around) {
    if (!scope.over && fits(scope)) return true;
  }
  return false;
}

/** Work that outlives whoever starts it does not count as part of their load. */
export function outsideLoads<T>(work: () => T): T {
  return loading.exit(work);
}

export interface LoadRun {
  readonly abort: LoadAbort;
  readonly clock: Clock;
  readonly keys: CacheKeys;
  /** Whose load it is. */
  readonly loads: object;
  readonly token: string | undefined;
  readonly haste: LoadHaste;
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

/** A load that nobody waits for is a trace of its own: it may outlive the one it was begun in. */
export function loadSpan(cache: string, refresh: boolean): SpanPlan {
  return refresh
    ? { name: 'cache.refresh', subject: cache, apart: true }
    : { name: 'cache.load', subject: cache };
}

/** As {@link runLoader}, in a span below the call that asked for it. */
export function runTraced(request: LoadRequest, parts: LoadRun, plan: SpanPlan): Promise<LoadResult> {
  return spans.around({ ...plan, from: request.origin }, async (span) => {
    const result = await runLoader(request, parts);
    if (result.kind === 'failed') span.fail(codeOf(result.error));
    return result;
  });
}

/** Never rejects. */
export function runLoader(request: LoadRequest, run: LoadRun): Promise<LoadResult> {
  const { abort, clock, keys, loads, token, haste } = run;
  const { hardTimeoutMs, tags } = request.options;
  const decisions = new Decisions(tags);
  const startedAt = clock.now();
  return new Promise((resolve) => {
    const around = loading.getStore();
    const scope: LoadScope = { loads, key: request.key, token, haste, around, over: false };
    let timer: Timer | undefined;
    let left = false;
    const end = (result: LoadResult): void => {
      if (left) return;
      left = true;
      timer?.cancel();
      scope.over = true;
      leave();
      resolve(result);
    };
    const fail = (error: unknown): void => end({ kind: 'failed', error });
    const succeed = (value: unknown): void => {
      const loadMs = clock.now() - startedAt;
      end(toResult({ value, request, decisions, loadMs }));
    };
    enter();
    abort.onEnd(fail);
    if (left) return;
    // What has arrived while the loop was busy still counts, so a turn is given before it is too late.
    const expire = (): void => clock.turn(() => abort.expire(timedOut(hardTimeoutMs)));
    if (Number.isFinite(hardTimeoutMs)) timer = clock.after(hardTimeoutMs, expire, { keepAlive: true });
    const context = contextOf(request, { abort, decisions, keys });
    inScope(scope, () => request.loader(context)).then(succeed, fail);
  });
}

/** A loader that throws at once is one that fails. */
async function inScope(scope: LoadScope, load: () => unknown): Promise<unknown> {
  return loading.run(scope, load);
}

let running = 0;

function enter(): void {
  running += 1;
}

/**
 * On Node before 24 a context that is followed makes every promise of the process dearer, so it is followed only
 * while loaders run.
 */
function leave(): void {
  running -= 1;
  if (running === 0) loading.disable();
}

function toResult(loaded: {
  value: unknown;
  request: LoadRequest;
  decisions: Decisions;
  loadMs: number;
}): LoadResult {
  const { value, request, decisions, loadMs } = loaded;
  const { tags, skipped } = decisions;
  return { kind: 'value', value, ttlMs: lifetimeOf(value, request, decisions), tags, loadMs, skipped };
}

function contextOf(
  request: LoadRequest,
  { abort, decisions, keys }: { abort: LoadAbort; decisions: Decisions; keys: CacheKeys },
): LoadContext {
  return {
    key: request.userKey,
    get signal() {
      return abort.signal;
    },
    stale: request.stale?.value,
    setTtl: (ttl) => {
      decisions.ttlMs = ttlOf(ttl);
      decisions.ttlGiven = true;
    },
    setTags: (tags) => {
      // A tag that names nothing has to fail the loader: later it would pass for a failure of Redis.
      keys.tags(tags);
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
