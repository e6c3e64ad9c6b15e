/**
 * What the console shows, told by those who know it. The console knows no capability: the composition root fills
 * this in. Figures come from the stats; here is what is asked for by somebody who looks at one thing.
 */
import type { StatsService } from '../monitoring/index.js';

/** Which of the caches of an application: the plain one, the one with a fallback, the sharded one. */
export type CacheKind = 'cache' | 'fallback' | 'sharded';

export interface CacheRef {
  readonly kind: CacheKind;
  readonly name: string;
}

export interface Fact {
  readonly name: string;
  readonly value: string;
}

export interface KeyReading {
  /** As it stands in Redis. */
  readonly key: string;
  readonly state: string;
  readonly why: string;
  readonly tier: string | undefined;
  readonly ageMs: number | undefined;
  readonly ttlMs: number | undefined;
  readonly loadMs: number | undefined;
  readonly negative: boolean;
  readonly shard: string | undefined;
  readonly tags: readonly {
    readonly tag: string;
    readonly valid: boolean;
    readonly clock: number | undefined;
  }[];
  readonly lease: { readonly holder: string; readonly leftMs: number } | undefined;
}

export interface KeyList {
  /** What stands before and after each of them in Redis. */
  readonly before: string;
  readonly after: string;
  readonly keys: readonly string[];
  /** Names of whatever kind that were looked at. */
  readonly looked: number;
  /** Everything was looked at, and everything that was found is here. */
  readonly complete: boolean;
}

/** What would become of the others, were one shard taken out. */
export interface ShardRemoval {
  readonly without: string;
  /** Share of all keys that would be elsewhere. */
  readonly moved: number;
  readonly shares: readonly { readonly id: string; readonly before: number; readonly after: number }[];
}

export interface ConfigRow {
  readonly group: string;
  readonly option: string;
  /** Secrets are masked already. */
  readonly value: string;
  readonly origin: 'code' | 'environment' | 'default';
}

/** Something that happened, in one line without secrets. */
export interface Happening {
  /** `'breaker'`, `'fallback'`, `'connection.lost'`. */
  readonly kind: string;
  readonly subject: string;
  readonly text: string;
}

/** Messages to all processes of the application, this one included. */
export interface FleetLine {
  /** @returns how many processes it was handed to, where that is known */
  send(text: string): Promise<number | undefined>;
  /** Goes on by itself when Redis was away; the function ends it. */
  listen(receive: (text: string) => void): () => void;
}

export interface ConsoleSource {
  readonly namespace: string;
  readonly production: boolean;
  readonly stats: StatsService;
  readonly fleet: FleetLine;
  /** Breakers, fallbacks, topologies and shards as they change. */
  onHappening(listener: (happening: Happening) => void): () => void;
  /** A key as the code writes it, or as it stands in Redis. */
  explain(cache: CacheRef, key: string): Promise<KeyReading>;
  /** As text; undefined when there is none. */
  value(cache: CacheRef, key: string): Promise<string | undefined>;
  /** Undefined for a cache whose keys can not be listed. */
  keys(cache: CacheRef, prefix: string, most: number): Promise<KeyList | undefined>;
  shardOf(key: string): string | undefined;
  removal(id: string): ShardRemoval | undefined;
  config(): readonly ConfigRow[];
  versions(): Promise<readonly Fact[]>;
}
