/**
 * Every key and channel of the locks. What is locked stands in the hash tag, so that all keys of one lock share
 * a slot, and what a user typed can neither leave the tag nor forge another lock.
 */
import { escapeSegment, type Key } from '../connection/index.js';
import { InvalidLockKeyError } from './lock.errors.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

export interface LockNames {
  /** Who holds it: token and fencing number, until it runs out. */
  readonly held: string;
  /** The last fencing number, and the token that was released last. */
  readonly fence: string;
  /** Who waits, in the order of arrival. */
  readonly queue: string;
  /** Whose turn it is while nobody holds it. */
  readonly turn: string;
  /** Where the end of a hold is told. */
  readonly wake: string;
}

export class LockKeys {
  /** Always listened to while somebody waits, so that the connection stays between two waits. */
  readonly wakeHome: string;
  readonly #root: string;

  constructor(namespace: string) {
    this.#root = `${segmentsOf(namespace, 'namespace')}:${WIRE_VERSION}`;
    this.wakeHome = `${this.#root}:lock-wake`;
  }

  names(key: Key): LockNames {
    const tag = `{${segmentsOf(key, 'key')}}`;
    const root = this.#root;
    return {
      held: `${root}:lock:${tag}`,
      fence: `${root}:lock-fence:${tag}`,
      queue: `${root}:lock-queue:${tag}`,
      turn: `${root}:lock-turn:${tag}`,
      wake: `${root}:lock-wake:${tag}`,
    };
  }
}

/** `'order:42'` and `['order', 42]` are the same lock; in a segment a colon is escaped, in a string it separates. */
function segmentsOf(key: Key, what: string): string {
  const text =
    typeof key === 'string'
      ? key.split(':').map(escapeSegment).join(':')
      : key.map((segment) => segmentOf(segment, what)).join(':');
  if (text === '') throw new InvalidLockKeyError(`${what}: it is empty`, { hint: 'give it a name' });
  return text;
}

/** `['user', undefined]` would be one lock for everybody whose id is missing. */
function segmentOf(segment: unknown, what: string): string {
  if (typeof segment === 'string') return escapeSegment(segment);
  if (typeof segment === 'number' && Number.isFinite(segment)) return String(segment);
  throw new InvalidLockKeyError(`${what}: a segment is ${String(segment)}`, {
    hint: 'segments are strings and numbers; look where the value comes from',
  });
}
