/** Independent servers that know nothing of each other, for client-side sharding. */
import { startStandalone, type Standalone, type StandaloneOptions } from './standalone.js';
import { startTogether, stopTogether } from './start-together.js';

export interface Shards {
  readonly shards: readonly Standalone[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** Starts `count` servers with the same options. */
export async function startShards(count: number, options: StandaloneOptions = {}): Promise<Shards> {
  const shards = await startTogether(Array.from({ length: count }, () => startStandalone(options)));
  return { shards, urls: shards.map(({ url }) => url), stop: () => stopTogether(shards) };
}
