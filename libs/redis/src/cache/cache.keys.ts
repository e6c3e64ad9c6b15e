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

/** A hit in memory costs less than making its key and hashing it: those made last are kept, twice this number. */
const RECENT_KEYS = 4_096;
const LONGEST_RECENT_KEY = 128;

/** The keys made last, in two generations: the older one is let go as a whole, so that keeping costs nothing. */
class RecentKeys {
  #younger = new Map<string, string>();
  #older = new Map<string, string>();

  get(key: Key): string | undefined {
    if (typeof key !== 'string') return undefined;
    return this.#younger.get(key) ?? this.#revive(key);
  }

  keep(key: Key, made: string): string {
    if (typeof key !== 'string' || key.length > LONGEST_RECENT_KEY) return made;
    if (this.#younger.size >= RECENT_KEYS) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(key, made);
    return made;
  }

  #revive(key: string): string | undefined {
    const made = this.#older.get(key);
    return made === undefined ? undefined : this.keep(key, made);
  }
}

export class CacheKeys {
  /** What the codec binds values to. */
  readonly namespace: string;
  /** The clock that all tags of the namespace share. */
  readonly clock: string;
  /** The clock of this cache's last flush. */
  readonly flush: string;
  /** Always listened to while somebody waits, so that the connection stays between two waits. */
  readonly wakeHome: string;
  /** Where processes announce what they change, when Redis does not do it for them. */
  readonly bus: string;
  /** Beginnings of what a near cache has to be told of: values of all caches of the namespace, and clocks. */
  readonly tracked: { readonly values: string; readonly clocks: string };
  /** Beginning of the leases of all caches of the namespace. */
  readonly leases: string;
  /** Beginning of the keys of this cache's values, and of all tags' clocks: what a near cache follows. */
  readonly valuePrefix: string;
  readonly tagPrefix: string;
  readonly #values: string;
  readonly #leases: string;
  readonly #wakes: string;
  readonly #tags: string;
  readonly #valueKeys = new RecentKeys();
  /** Of lists that can not change: whoever asks for the same again and again makes it once. */
  readonly #valueKeysOfFrozen = new WeakMap<object, string>();
  readonly #tagKeys = new RecentKeys();

  constructor(namespace: string, name: string) {
    const root = `${segmentsOf(namespace, 'namespace')}:${WIRE_VERSION}`;
    const cache = segmentsOf([name], 'name');
    this.namespace = namespace;
    this.clock = `${root}:clock`;
    this.flush = `${root}:tag:{${FLUSH_TAG}:${cache}}`;
    this.wakeHome = `${root}:wake`;
    this.bus = `${root}:bus`;
    this.tracked = { values: `${root}:cache:`, clocks: `${root}:tag:{` };
    this.leases = `${root}:lease:`;
    this.valuePrefix = `${root}:cache:${cache}:`;
    this.tagPrefix = `${root}:tag:`;
    this.#values = `${this.valuePrefix}{`;
    this.#leases = `${this.leases}${cache}:{`;
    this.#wakes = `${root}:wake:${cache}:{`;
    this.#tags = `${this.tagPrefix}{`;
  }

  value(key: Key): string {
    if (typeof key === 'object' && Object.isFrozen(key)) return this.#valueOfFrozen(key);
    return this.#valueKeys.get(key) ?? this.#valueKeys.keep(key, `${this.#values}${segmentsOf(key, 'key')}}`);
  }

  #valueOfFrozen(key: Exclude<Key, string>): string {
    let made = this.#valueKeysOfFrozen.get(key);
    if (made === undefined) {
      made = `${this.#values}${segmentsOf(key, 'key')}}`;
      this.#valueKeysOfFrozen.set(key, made);
    }
    return made;
  }

  tag(tag: Key): string {
    return this.#tagKeys.get(tag) ?? this.#tagKeys.keep(tag, `${this.#tags}${segmentsOf(tag, 'tag')}}`);
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

  /** The clock of the flush of the cache a value lies in, whichever of the namespace that is. */
  flushOf(valueKey: string): string {
    const { values, clocks } = this.tracked;
    return `${clocks}${FLUSH_TAG}:${valueKey.slice(values.length, valueKey.indexOf(':', values.length))}}`;
  }

  /** Which keys a sweep takes: a glob for SCAN, and the proof for each name it brings. */
  valuesUnder(prefix?: Key): Sweep {
    return sweepOf(this.#values, prefix);
  }

  leasesUnder(prefix?: Key): Sweep {
    return sweepOf(this.#leases, prefix);
  }
}

/** A key as it stands in the braces of its Redis key: what is the same in all caches, on whatever shard. */
export function logicalKey(key: Key): string {
  return segmentsOf(key, 'key');
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
  const text = typeof key === 'string' ? escapeText(key) : joined(key, what);
  if (text === '') throw new InvalidCacheKeyError(`${what}: it is empty`, { hint: 'give it a name' });
  return text;
}

/** Nearly every key is as it should be already, and this runs for each hit in memory. */
function escapeText(key: string): string {
  for (let i = 0; i < key.length; i += 1) {
    if (isUnsafe(key.charCodeAt(i))) return key.split(':').map(escapeSegment).join(':');
  }
  return key;
}

/** What `escapeSegment` escapes, but for the colon. */
function isUnsafe(code: number): boolean {
  return code < 0x20 || code === 0x25 || code === 0x7b || code === 0x7d || code === 0x7f;
}

function joined(segments: readonly unknown[], what: string): string {
  let text = '';
  for (let i = 0; i < segments.length; i += 1) {
    text += (i === 0 ? '' : ':') + segmentOf(segments[i], what);
  }
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
