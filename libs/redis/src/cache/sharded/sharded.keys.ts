/** What a fleet keeps on every shard about itself, and the namespace of a shard's values. */
import { randomBytes } from 'node:crypto';
import { escapeSegment } from '../../connection/index.js';

const WIRE_VERSION = 'v1';

export class ShardedKeys {
  /** The topology, as this shard knows it. */
  readonly topology: string;
  /** Who takes part, and which topology they follow. */
  readonly members: string;
  /** Told when the topology has changed. */
  readonly channel: string;
  /** Beginning of the keys of all generations. */
  readonly generations: string;
  readonly #namespace: string;

  constructor(namespace: string) {
    const escaped = namespace.split(':').map(escapeSegment).join(':');
    const root = `${escaped}:${WIRE_VERSION}`;
    this.#namespace = namespace;
    this.generations = `${escaped}:s`;
    this.topology = `${root}:{shards}:topology`;
    this.members = `${root}:{shards}:members`;
    this.channel = `${root}:{shards}:changed`;
  }

  /** Of one generation of a shard: what an older one has stored has other keys. */
  values(generation: string): string {
    return `${this.#namespace}:${generation}`;
  }

  /** The generation a key belongs to; undefined for any other key. */
  generationIn(key: string): string | undefined {
    if (!key.startsWith(this.generations)) return undefined;
    const rest = key.slice(this.generations.length - 1);
    return /^(s[\da-z]{8}[\da-f]{6}):v1:(?:(?:cache|lease):[^:{}]+:\{[^{}]+\}|tag:\{[^{}]+\}|clock)$/u.exec(
      rest,
    )?.[1];
  }

  /** When a generation began, by the clock of the process that began it: its name tells. */
  bornAt(generation: string): number | undefined {
    const [, time] = /^s([\da-z]{8})[\da-f]{6}$/u.exec(generation) ?? [];
    return time === undefined ? undefined : Number.parseInt(time, 36);
  }
}

/** A name that no generation has had, by which {@link ShardedKeys.bornAt} tells when it began. */
export function freshGeneration(wallNow: number): string {
  return `s${wallNow.toString(36)}${randomBytes(3).toString('hex')}`;
}
