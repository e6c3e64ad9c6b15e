/** Every key of the sessions. A user's sessions and their index share a slot, so that one step changes both. */
import { escapeSegment } from '../connection/index.js';
import type { SessionRef } from './session-id.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

export class SessionKeys {
  readonly namespace: string;
  /** Beginning of the keys of express-session's records. */
  readonly records: string;
  readonly #sessions: string;
  readonly #users: string;

  constructor(namespace: string) {
    const root = `${namespace.split(':').map(escapeSegment).join(':')}:${WIRE_VERSION}`;
    this.namespace = namespace;
    this.#sessions = `${root}:session:{`;
    this.records = `${root}:express-session:`;
    this.#users = `${root}:session-user:{`;
  }

  session({ tag, handle }: SessionRef): string {
    return `${this.#sessions}${tag}}:${handle}`;
  }

  /** The sessions of one user: a sorted set of handles by their expiry. */
  index(tag: string): string {
    return `${this.#users}${tag}}`;
  }
}
