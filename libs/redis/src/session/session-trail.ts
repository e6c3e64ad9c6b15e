/**
 * Where the session of an id lies. An id may lead on to another one: for a while after a rotation, and for as long as the
 * session lives where two requests have given it a new id at the same time, so that it has two. And an id that a login
 * or a logout has ended is known as such for a while, as requests that were sent with it before are still under way.
 */
import type { RedisClient } from '../connection/index.js';
import type { SessionRef } from './session-id.js';
import type { SessionKeys } from './session.keys.js';
import { destroyScript, joinScript, loadScript, type Destroyed, type Loaded } from './session.scripts.js';

/** Rotations that a request may have slept through. */
const MOST_MOVES = 16;

export type Found =
  | {
      readonly state: 'open';
      readonly ref: SessionRef;
      readonly loaded: Loaded;
      /** A rotation has replaced the id that was asked for, or one that it leads to. */
      readonly former: boolean;
    }
  /** By a logout, or by the login that made the session of this handle. */
  | { readonly state: 'ended'; readonly by: string | undefined }
  | { readonly state: 'unknown' };

export interface Ending {
  /** For so long it is known that it was ended. @default not at all */
  readonly graceMs?: number | undefined;
  /** Handle of the session that a login has made in its place. */
  readonly by?: string | undefined;
}

export class SessionTrail {
  readonly #client: RedisClient;
  readonly #keys: SessionKeys;

  constructor(client: RedisClient, keys: SessionKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async follow({ tag, handle }: SessionRef, touchAfter: number): Promise<Found> {
    let at = handle;
    let former = false;
    for (let move = 0; move <= MOST_MOVES; move += 1) {
      const ref = { tag, handle: at };
      const keys = [this.#keys.session(ref), this.#keys.index(tag)] as const;
      const loaded = await this.#client.run(loadScript, keys, { member: at, touchAfter });
      if (loaded === undefined) return { state: 'unknown' };
      const moved = loaded.fields.get('r')?.toString();
      if (moved === undefined) return { state: 'open', ref, loaded, former };
      if (moved === '') return { state: 'ended', by: loaded.fields.get('n')?.toString() };
      former ||= !loaded.fields.has('i');
      at = moved;
    }
    return { state: 'unknown' };
  }

  /**
   * Ends it under all the ids it has had: who logs out with the one of before a rotation is logged out.
   * @returns whether there was one, and which login had ended it before
   */
  async end({ tag, handle }: SessionRef, { graceMs = 0, by = '' }: Ending = {}) {
    let next: string | undefined = handle;
    let was = false;
    let endedBy: string | undefined;
    for (let move = 0; move <= MOST_MOVES && next !== undefined; move += 1) {
      const keys = [this.#keys.session({ tag, handle: next }), this.#keys.index(tag)] as const;
      const ended: Destroyed = await this.#client.run(destroyScript, keys, { member: next, graceMs, by });
      was ||= ended.was;
      endedBy ??= ended.by;
      next = ended.movedTo;
    }
    return { was, by: endedBy };
  }

  /** Lets an id lead to a session from here on; what lay under it is ended. @returns whether there is that session */
  join(next: SessionRef, target: SessionRef): Promise<boolean> {
    const keys = [this.#keys.session(next), this.#keys.index(next.tag), this.#keys.session(target)] as const;
    return this.#client.run(joinScript, keys, { from: next.handle, to: target.handle });
  }
}
