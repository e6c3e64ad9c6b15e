/**
 * Every key of the limiter. The subject stands in the hash tag, so that all limits of one subject share a slot
 * and are checked in one step, and what a client sent can neither leave the tag nor forge another key.
 */
import { createHash } from 'node:crypto';
import { escapeSegment, type Key } from '../connection/index.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

/** Longer subjects are hashed: what a client sends decides about no key's size. */
const LONGEST_SUBJECT = 128;

interface Named {
  readonly code: string;
  readonly name: string;
}

export class RateLimitKeys {
  readonly #root: string;

  constructor(namespace: string) {
    this.#root = `${escapeSegment(namespace)}:${WIRE_VERSION}:limit:`;
  }

  /** The escaped subject, to be handed to the other methods. */
  subject(key: Key): string {
    const text = typeof key === 'string' ? textOf(key) : key.map(segmentOf).join(':');
    if (text === '') throw new InvalidRateLimitError('subject: it is empty', { hint: 'say who is limited' });
    // No escaped text can look like this: after a `%` of theirs stand two hexadecimal digits.
    return text.length <= LONGEST_SUBJECT
      ? text
      : `%h${createHash('sha256').update(text).digest('base64url')}`;
  }

  limit(subject: string, { code, name }: Named): string {
    return `${this.#root}${code}:{${subject}}:${name}`;
  }

  /** Exists while a subject is denied by penalty. */
  penalty(subject: string, { code, name }: Named): string {
    return `${this.#root}p${code}:{${subject}}:${name}`;
  }
}

function textOf(key: string): string {
  return key.includes(':') ? key.split(':').map(escapeSegment).join(':') : escapeSegment(key);
}

/** `['user', undefined]` would be one limit for everybody whose id is missing. */
function segmentOf(segment: unknown): string {
  if (typeof segment === 'string') return escapeSegment(segment);
  if (typeof segment === 'number' && Number.isFinite(segment)) return String(segment);
  throw new InvalidRateLimitError(`subject: a segment is ${String(segment)}`, {
    hint: 'segments are strings and numbers; look where the value comes from',
  });
}
