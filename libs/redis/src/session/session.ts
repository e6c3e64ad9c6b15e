/** One session as a request sees it: what was read, and what has been changed since. */
import type { Loaded } from './session.scripts.js';

/** What a session holds. Extend it for types of your own: `declare module '@anbar/nestjs-redis/session' { … }` */
export interface SessionData {
  [name: string]: unknown;
}

/** Told by the caller when the session begins, and shown in the list of a user's sessions. */
export type Device = Readonly<Record<string, string | number | boolean>>;

/** Kept sealed beside the data. */
export interface SessionMeta {
  /** Null while it belongs to nobody. */
  readonly user: string | null;
  /** Wall clock milliseconds. */
  readonly createdAt: number;
  readonly device: Device | null;
}

export interface SessionState {
  readonly id: string;
  /** Where it lies; differs from what the id says in the moments after a rotation. */
  readonly handle: string;
  readonly tag: string;
  readonly meta: SessionMeta;
  readonly version: number;
  /** It was read under an id that a rotation has replaced. */
  readonly former: boolean;
  readonly leftMs: number;
  readonly data: SessionData;
  /** The text of each field as it was read. */
  readonly known: ReadonlyMap<string, string>;
}

export class Session<Data extends object = SessionData> {
  /** What the cookie holds. A secret: whoever has it is the user. */
  readonly id: string;
  /** Names the session in lists and logs; it opens nothing. */
  readonly handle: string;
  /** Whose it is, or undefined while it belongs to nobody. */
  readonly user: string | undefined;
  readonly createdAt: number;
  readonly device: Device | undefined;
  /** Wall clock milliseconds: when it ends unless it is used. */
  readonly expiresAt: number;
  /** Yours to change; `save` stores what differs from what was read. */
  readonly data: Partial<Data>;
  readonly state: SessionState;

  constructor(state: SessionState, now: number) {
    this.id = state.id;
    this.handle = state.handle;
    this.user = state.meta.user ?? undefined;
    this.createdAt = state.meta.createdAt;
    this.device = state.meta.device ?? undefined;
    this.expiresAt = now + state.leftMs;
    this.data = state.data as Partial<Data>;
    this.state = state;
  }

  /** An id has no place in a log. */
  toJSON(): Record<string, unknown> {
    return { handle: this.handle, user: this.user, createdAt: this.createdAt, expiresAt: this.expiresAt };
  }
}

/** A session as a list of devices shows it. */
export interface SessionInfo {
  readonly handle: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
  readonly device: Device | undefined;
}

export const META_FIELD = 'm';
const DATA_PREFIX = 'd:';

export function dataField(name: string): string {
  return DATA_PREFIX + name;
}

/** The names of the data among the fields of the hash. */
export function dataNames(fields: Loaded['fields']): string[] {
  return [...fields.keys()]
    .filter((name) => name.startsWith(DATA_PREFIX))
    .map((name) => name.slice(DATA_PREFIX.length));
}
