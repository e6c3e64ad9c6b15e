/**
 * The part of the fence that clocks keep: tags and flushes. What is stored carries the clock that was read
 * before it was loaded; an invalidation takes the next number and writes it to its tags, wherever in a cluster
 * they lie, and is acknowledged when both are done.
 */
import type { RedisClient } from '../connection/index.js';
import { inBatches, SingleFlight } from '../core/index.js';
import type { CacheKeys } from './cache.keys.js';
import { raiseScript, registerScript, tickScript } from './cache.scripts.js';
import { NO_CLOCK, type SeenClock, type TagClocks } from './tag-clocks.js';

export interface FenceParts {
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly seen: SeenClock;
  /** Straight from Redis: a copy held in this process may be a moment behind. */
  readonly clocks: TagClocks;
  /** Those that readers are judged by, to be told of what this process invalidates. */
  readonly held: TagClocks;
}

/** Another server may answer from now on. */
const CHANGES = ['lost', 'ready', 'topology'] as const;

/** Longer than any load lasts, so that an invalidation is not forgotten while an older value is on its way. */
export const SHORTEST_TAG_LIFE_MS = 86_400_000;

export class Fence {
  readonly #parts: FenceParts;
  readonly #clockOnly: readonly string[];
  readonly #flushOnly: readonly string[];
  /** Loads of many keys are stored under the same tags, and each of them sees to it that the tags are there. */
  readonly #registering = new SingleFlight<number>();
  readonly #stops: readonly (() => void)[];
  /** How often another server may have come to answer, and up to which of these its clock is known not to be behind. */
  #changes = 0;
  #caughtUp = 0;

  constructor(parts: FenceParts) {
    this.#parts = parts;
    this.#stops = CHANGES.map((change) => parts.client.on(change, () => (this.#changes += 1)));
    this.#clockOnly = [parts.keys.clock];
    this.#flushOnly = [parts.keys.flush];
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** The clock of what begins now. It may be too low, which is safe, and too high only until {@link holds} has answered. */
  get seen(): number {
    return this.#parts.seen.value;
  }

  /** The clock of a load that begins when this has answered. */
  async now(): Promise<number> {
    const { clocks, seen } = this.#parts;
    const [clock = NO_CLOCK] = await clocks.read(this.#clockOnly);
    // The clocks may be somebody else's, who told nobody here what he saw.
    if (clock === NO_CLOCK) await this.#tick();
    else seen.observe(clock);
    if (this.#changes !== this.#caughtUp) await this.#catchUp();
    return seen.value;
  }

  /**
   * Sees to it that these tags have clocks. The clock has to come from {@link now}: a tag that Redis has lost
   * must not get a lower one than it had.
   */
  async register(tagKeys: readonly string[], clock: number, lifetimeMs: number): Promise<void> {
    const { client, seen, held } = this.#parts;
    const ttlMs = lifetimeMs === 0 ? 0 : Math.max(SHORTEST_TAG_LIFE_MS, lifetimeMs * 2);
    const clocks = await inBatches(tagKeys, (key) =>
      this.#registering.run(`${key}\n${clock}\n${ttlMs}`, () =>
        client.run(registerScript, [key], { clock, ttlMs }),
      ),
    );
    for (const each of clocks) seen.observe(each);
    for (const key of tagKeys) held.invalidate?.(key);
    await held.announce?.(tagKeys);
  }

  /** Those of the tags that have to be registered before something with that lifetime is stored under them. */
  async unregistered(tagKeys: readonly string[], lifetimeMs: number): Promise<readonly string[]> {
    if (tagKeys.length === 0 || outlivesTags(lifetimeMs)) return tagKeys;
    const clocks = await this.#parts.clocks.read(tagKeys);
    return tagKeys.filter((_, i) => clocks[i] === NO_CLOCK);
  }

  /** Whether nothing of it was invalidated after that clock, up to the moment of the question. */
  async holds(tagKeys: readonly string[], clock: number): Promise<boolean> {
    const asked = tagKeys.length === 0 ? this.#flushOnly : [this.#parts.keys.flush, ...tagKeys];
    const read = await this.#parts.clocks.read(asked);
    if (this.#changes !== this.#caughtUp) await this.#catchUp();
    return read.every((each, i) => each <= clock && (i === 0 || each !== NO_CLOCK));
  }

  async invalidate(tagKeys: readonly string[]): Promise<void> {
    if (tagKeys.length === 0) return;
    await this.#raise(tagKeys, SHORTEST_TAG_LIFE_MS);
  }

  /** Everything stored so far is invalid; the clock of a flush stays, as no sweep can prove it is not needed. */
  async flush(): Promise<void> {
    await this.#raise([this.#parts.keys.flush], 0);
  }

  /**
   * What is stored under a clock that Redis' own has not reached would outlive its next invalidation, by whomever. So
   * where another server may answer, and its clock is behind, it is moved on before anything is acknowledged.
   */
  async #catchUp(): Promise<void> {
    const { clocks, seen } = this.#parts;
    const changes = this.#changes;
    const [clock = NO_CLOCK] = await clocks.read(this.#clockOnly);
    if (clock < seen.value) await this.#tick();
    this.#caughtUp = changes;
  }

  async #tick(): Promise<number> {
    const { client, keys, seen } = this.#parts;
    const clock = await client.run(tickScript, [keys.clock], { floor: seen.value });
    seen.observe(clock);
    return clock;
  }

  async #raise(tagKeys: readonly string[], ttlMs: number): Promise<void> {
    const { client, held } = this.#parts;
    const drop = (): void => tagKeys.forEach((key) => held.invalidate?.(key));
    // A copy in doubt is not served on for as long as this takes to fail.
    drop();
    try {
      const clock = await this.#tick();
      await inBatches(tagKeys, (key) => client.run(raiseScript, [key], { clock, ttlMs }));
      await held.announce?.(tagKeys);
    } catch (error) {
      held.announce?.(tagKeys)?.catch(() => undefined);
      throw error;
    } finally {
      // Also when it failed: it may have been done all the same.
      drop();
    }
  }
}

/** What lives that long, 0 for ever, has to lengthen the life of its tags: those that are there may end before it. */
export function outlivesTags(lifetimeMs: number): boolean {
  return lifetimeMs === 0 || lifetimeMs * 2 > SHORTEST_TAG_LIFE_MS;
}
