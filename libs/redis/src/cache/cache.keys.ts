/**
 * Every key and channel of the cache. The logical key stands in the hash tag, so that a value and its lease
 * share a slot, and what a user typed can neither leave the tag nor forge another key.
 */
import { escapeGlob, escapeSegment, type Key } from '../connection/index.js';
import { InvalidCacheKeyError } from './cache.errors.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

/** No user's tag can be this one: after a `%` of theirs stand two hexadecimal digits. */
const FLUSH_TAG = '%flush';

export class CacheKeys {
  /** What the codec binds values to. */
  readonly namespace: string;
  /** The clock that all tags of the namespace share. */
  readonly clock: string;
  /** The clock of this cache's last flush. */
  readonly flush: string;
  /** Always listened to while somebody waits, so that the connection stays between two waits. */
  readonly wakeHome: string;
  /** Beginnings of what a near cache has to be told of: values of all caches of the namespace, and clocks. */
  readonly tracked: { readonly values: string; readonly clocks: string };
  /** Beginning of the keys of this cache's values, and of all tags' clocks: what a near cache follows. */
  readonly valuePrefix: string;
  readonly tagPrefix: string;
  readonly #values: string;
  readonly #leases: string;
  readonly #wakes: string;
  readonly #tags: string;

  constructor(namespace: string, name: string) {
    const root = `${segmentsOf(namespace, 'namespace')}:${WIRE_VERSION}`;
    const cache = segmentsOf([name], 'name');
    this.namespace = namespace;
    this.clock = `${root}:clock`;
    this.flush = `${root}:tag:{${FLUSH_TAG}:${cache}}`;
    this.wakeHome = `${root}:wake`;
    this.tracked = { values: `${root}:cache:`, clocks: `${root}:tag:{` };
    this.valuePrefix = `${root}:cache:${cache}:`;
    this.tagPrefix = `${root}:tag:`;
    this.#values = `${this.valuePrefix}{`;
    this.#leases = `${root}:lease:${cache}:{`;
    this.#wakes = `${root}:wake:${cache}:{`;
    this.#tags = `${this.tagPrefix}{`;
  }

  value(key: Key): string {
    return `${this.#values}${segmentsOf(key, 'key')}}`;
  }

  tag(tag: Key): string {
    return `${this.#tags}${segmentsOf(tag, 'tag')}}`;
  }

  tags(tags: readonly string[]): readonly string[] {
    return tags.map((tag) => this.tag(tag));
  }

  /** The lease beside a value, by the value's key. */
  lease(valueKey: string): string {
    return this.#leases + valueKey.slice(this.#values.length);
  }

  /** The channel on which the end of a load of that value is told. */
  wake(valueKey: string): string {
    return this.#wakes + valueKey.slice(this.#values.length);
  }

  /** The value beside a lease. */
  valueOfLease(leaseKey: string): string {
    return this.#values + leaseKey.slice(this.#leases.length);
  }

  /** Which keys a sweep takes: a glob for SCAN, and the proof for each name it brings. */
  valuesUnder(prefix?: Key): Sweep {
    return sweepOf(this.#values, prefix);
  }

  leasesUnder(prefix?: Key): Sweep {
    return sweepOf(this.#leases, prefix);
  }
}

export interface Sweep {
  readonly match: string;
  readonly holds: (key: string) => boolean;
}

/**
 * Segments are a prefix segment by segment: `['user', 4]` is `user:4` and everything below it, and not
 * `user:42`. A string is a prefix as it stands.
 */
function sweepOf(family: string, prefix: Key | undefined): Sweep {
  const head = family + (prefix === undefined ? '' : segmentsOf(prefix, 'prefix'));
  const ends = typeof prefix === 'object' ? [':', '}'] : [''];
  return {
    match: `${escapeGlob(head)}*`,
    holds: (key) => ends.some((end) => key.startsWith(head + end)),
  };
}

/** `'user:42'` and `['user', 42]` are the same key; in a segment a colon is escaped, in a string it separates. */
function segmentsOf(key: Key, what: string): string {
  const text =
    typeof key === 'string'
      ? key.split(':').map(escapeSegment).join(':')
      : key.map((segment) => segmentOf(segment, what)).join(':');
  if (text === '') throw new InvalidCacheKeyError(`${what}: it is empty`, { hint: 'give it a name' });
  return text;
}

/** `['user', undefined]` would be one key for everybody whose id is missing. */
function segmentOf(segment: unknown, what: string): string {
  if (typeof segment === 'string') return escapeSegment(segment);
  if (typeof segment === 'number' && Number.isFinite(segment)) return String(segment);
  throw new InvalidCacheKeyError(`${what}: a segment is ${String(segment)}`, {
    hint: 'segments are strings and numbers; look where the value comes from',
  });
}
