/** The keys of the throttler's records. Both keys of a record share a slot, so that one step sees both. */
import { createHash } from 'node:crypto';
import { escapeSegment } from '../connection/index.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

/** What a client sends may get into a key by way of `getTracker`; it decides about no key's size. */
const LONGEST = 128;

export type RecordKeys = readonly [hits: string, state: string];

export class ThrottlerKeys {
  readonly #root: string;

  constructor(namespace: string) {
    this.#root = `${namespace.split(':').map(escapeSegment).join(':')}:${WIRE_VERSION}:throttler`;
  }

  of(key: string, throttler: string): RecordKeys {
    const text = `${escapeSegment(throttler)}:${escapeSegment(key)}`;
    const subject =
      text.length <= LONGEST ? text : `%h${createHash('sha256').update(text).digest('base64url')}`;
    return [`${this.#root}:hits:{${subject}}`, `${this.#root}:state:{${subject}}`];
  }
}
