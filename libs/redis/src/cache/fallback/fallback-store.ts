/** The standby's store: what is found in it says that it came from there. */
import type { Tiers, TierBase } from '../cache-engine.js';
import type { CacheEntry, Found, Grant, LeaseAsk, Release, Store, StoreCall } from '../store.js';

/** For `CacheSurroundings.tiers`. */
export function standbyTiers({ store, clocks }: TierBase): Tiers {
  return { store: new StandbyStore(store), clocks };
}

class StandbyStore implements Store {
  readonly #inner: Store;

  constructor(inner: Store) {
    this.#inner = inner;
  }

  get(key: string, call?: StoreCall): Found | undefined | Promise<Found | undefined> {
    const found = this.#inner.get(key, call);
    return found instanceof Promise ? found.then(marked) : marked(found);
  }

  set(key: string, entry: CacheEntry, call?: StoreCall): Promise<void> {
    return this.#inner.set(key, entry, call);
  }

  remove(keys: readonly string[], call?: StoreCall): Promise<number> {
    return this.#inner.remove(keys, call);
  }

  update(key: string, change: (entry: CacheEntry) => CacheEntry, call?: StoreCall): Promise<boolean> {
    return this.#inner.update(key, change, call);
  }

  acquire(key: string, ask: LeaseAsk): Promise<Grant> {
    return this.#inner.acquire(key, ask);
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#inner.renew(key, token, leaseMs);
  }

  fill(key: string, entry: CacheEntry, token: string): Promise<boolean> {
    return this.#inner.fill(key, entry, token);
  }

  release(key: string, token: string, release: Release): Promise<boolean> {
    return this.#inner.release(key, token, release);
  }
}

function marked(found: Found | undefined): Found | undefined {
  return found === undefined ? undefined : { ...found, tier: 'fallback' };
}
