/**
 * Reads the same keys over and over through a near cache, and notes when it heard that one of them was changed and
 * what it was answered. Times are those of the machine's monotonic clock, so they compare between processes.
 */
import { CacheService, createRedis, type CacheOutcome } from '@anbar/nestjs-redis';
import { NearCache, resolveL1, type L1Sync } from '@anbar/nestjs-redis/cache';
import type { RedisClient } from '@anbar/nestjs-redis/connection';

export interface ChildPlan {
  readonly url: string;
  readonly namespace: string;
  readonly keys: readonly string[];
  readonly sync: L1Sync;
}

interface Heard {
  readonly key: string;
  /** Milliseconds. */
  readonly at: number;
}

interface Seen {
  readonly key: string;
  readonly version: number;
  readonly tier: CacheOutcome;
  readonly startedAt: number;
}

export type ChildWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'warm'; readonly held: number; readonly by: string | undefined }
  | {
      readonly kind: 'report';
      readonly heard: readonly Heard[];
      readonly seen: readonly Seen[];
      readonly l1Reads: number;
    };

export type ParentWord =
  | { readonly kind: 'open'; readonly plan: ChildPlan }
  | { readonly kind: 'state' }
  | { readonly kind: 'report' }
  | { readonly kind: 'leave' };

/** Reads between two turns of the loop, so that four processes leave room for what they wait for. */
const READS_PER_TURN = 8;
const PAUSE_MS = 5;

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

class Child {
  readonly #plan: ChildPlan;
  readonly #cache: CacheService;
  readonly #near: NearCache;
  readonly #close: () => Promise<void>;
  #heard: Heard[] = [];
  #seen: Seen[] = [];
  #l1Reads = 0;
  #running = true;

  constructor(plan: ChildPlan) {
    this.#plan = plan;
    const redis = createRedis({ url: plan.url, timeout: '2s', connectTimeout: '10s' }, {});
    const l1 = resolveL1({ sync: plan.sync });
    if (l1 === false) throw new Error('it is on');
    const client = this.#listening(redis.adapter.port, `${plan.namespace}:v1:cache:default:{`);
    this.#near = new NearCache({ client, l1 });
    this.#cache = new CacheService({ client, namespace: plan.namespace, tiers: this.#near.tiers });
    this.#near.start();
    this.#close = async () => {
      await this.#cache.disconnect();
      await this.#near.close();
      await redis.disconnect();
    };
    void this.#readOn();
  }

  state(): ChildWord {
    const { entries, by } = this.#near.stats();
    return { kind: 'warm', held: entries, by };
  }

  report(): ChildWord {
    const [heard, seen, l1Reads] = [this.#heard, this.#seen, this.#l1Reads];
    [this.#heard, this.#seen, this.#l1Reads] = [[], [], 0];
    return { kind: 'report', heard, seen, l1Reads };
  }

  async leave(): Promise<void> {
    this.#running = false;
    await this.#close();
  }

  /** The moment that counts is the one at which the copy is gone. */
  #listening(client: RedisClient, prefix: string): RedisClient {
    const original = client.track.bind(client);
    const track: RedisClient['track'] = (options) =>
      original({
        ...options,
        onInvalidate: (keys) => {
          options.onInvalidate(keys);
          const at = monotonicMs();
          if (keys === 'all') return;
          for (const key of keys)
            if (key.startsWith(prefix)) this.#heard.push({ key: key.slice(prefix.length, -1), at });
        },
      });
    return Object.defineProperty(client, 'track', { value: track });
  }

  async #readOn(): Promise<void> {
    let i = 0;
    while (this.#running) {
      for (let n = 0; n < READS_PER_TURN; n += 1) {
        const key = this.#plan.keys[(i += 1) % this.#plan.keys.length] ?? '';
        await this.#read(key);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #read(key: string): Promise<void> {
    let tier: CacheOutcome = 'miss';
    const startedAt = monotonicMs();
    const version = await this.#cache.get<number>(key, { onOutcome: (each) => void (tier = each) });
    if (tier === ('l1' as CacheOutcome)) this.#l1Reads += 1;
    if (typeof version === 'number') this.#seen.push({ key, version, tier, startedAt });
  }
}

export function runChild(): void {
  let child: Child | undefined;
  const say = (word: ChildWord): void => void process.send?.(word);
  process.on('message', (message) => {
    const word = message as ParentWord;
    if (word.kind === 'open') child = new Child(word.plan);
    else if (word.kind === 'state' && child !== undefined) say(child.state());
    else if (word.kind === 'report' && child !== undefined) say(child.report());
    else if (word.kind === 'leave') void child?.leave().then(() => process.exit());
  });
  process.on('disconnect', () => process.exit());
  say({ kind: 'ready' });
}
