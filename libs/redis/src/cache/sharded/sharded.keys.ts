/** What a fleet keeps on every shard about itself, and the namespace of a shard's values. */
import { escapeSegment } from '../../connection/index.js';

const WIRE_VERSION = 'v1';

export class ShardedKeys {
  /** The topology, as this shard knows it. */
  readonly topology: string;
  /** Who takes part, and which topology they follow. */
  readonly members: string;
  /** Told when the topology has changed. */
  readonly channel: string;
  readonly #namespace: string;

  constructor(namespace: string) {
    const root = `${namespace.split(':').map(escapeSegment).join(':')}:${WIRE_VERSION}`;
    this.#namespace = namespace;
    this.topology = `${root}:{shards}:topology`;
    this.members = `${root}:{shards}:members`;
    this.channel = `${root}:{shards}:changed`;
  }

  /** Of one generation of a shard: what an older one has stored has other keys. */
  values(generation: string): string {
    return `${this.#namespace}:${generation}`;
  }
}
