/**
 * What stands in the cookie, and what of it stands in Redis.
 *
 * An id is 256 random bits and a tag. Redis stores only the SHA-256 of the whole, so a copy of the database opens no
 * session. The tag says which user's sessions it lies among, and thus the slot, without naming the user.
 */
import { createHash, randomBytes } from 'node:crypto';

export interface SessionRef {
  /** Where it lies; the same for all sessions of one user. */
  readonly tag: string;
  /** Names the session and opens nothing: safe to show in a list of devices. */
  readonly handle: string;
}

const SECRET_BYTES = 32;
const TAG_BYTES = 12;
const ID = /^[\w-]{43}\.(?<tag>[\w-]{16})$/u;
const HANDLE = /^[\w-]{43}$/u;

export function createId(tag: string): string {
  return `${randomBytes(SECRET_BYTES).toString('base64url')}.${tag}`;
}

/** The tag of a session that belongs to nobody yet. */
export function randomTag(): string {
  return randomBytes(TAG_BYTES).toString('base64url');
}

export function tagOfUser(namespace: string, user: string): string {
  return digest(`${namespace}\nuser\n${user}`).subarray(0, TAG_BYTES).toString('base64url');
}

/** Undefined for what can not be an id: such a text is never asked for in Redis. */
export function refOf(id: unknown): SessionRef | undefined {
  if (typeof id !== 'string') return undefined;
  const tag = ID.exec(id)?.groups?.['tag'];
  return tag === undefined ? undefined : { tag, handle: digest(id).toString('base64url') };
}

/** For ids that others make up, such as those of express-session. */
export function handleOfForeign(id: string): string {
  return digest(id).toString('base64url');
}

export function isHandle(text: string): boolean {
  return HANDLE.test(text);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
