/**
 * Sessions that several servers share. One that was destroyed, revoked or has expired stays gone, whatever requests are
 * still under way; and while Redis is away nobody is known, rather than somebody wrongly.
 */
import { randomBytes } from 'node:crypto';
import type { Codec } from '../codec/index.js';
import { inBatches, isRedisModuleError, systemClock, type Clock } from '../core/index.js';
import type { RedisClient } from '../connection/index.js';
import { SessionCalls, type SessionCounts } from './session-calls.js';
import { createId, isHandle, randomTag, refOf, tagOfUser, type SessionRef } from './session-id.js';
import { SessionConflictError, SessionGoneError, TooManySessionsError } from './session.errors.js';
import { SessionKeys } from './session.keys.js';
import type { ResolvedSession } from './session.options.js';
import { changesSince, SessionSeal, snapshot, withChanges } from './session-seal.js';
import { SessionTrail } from './session-trail.js';
import {
  META_FIELD,
  Session,
  type Device,
  type SessionData,
  type SessionInfo,
  type SessionMeta,
  type SessionState,
} from './session.js';
import { createScript, revokeAllScript, rotateScript, saveScript, type Saved } from './session.scripts.js';

export interface SessionServiceParts {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly codec: Codec;
  readonly settings: ResolvedSession;
  readonly clock?: Clock | undefined;
}

export interface CreateSession<Data extends object> {
  readonly data?: Partial<Data> | undefined;
  /** Whose it is: it is listed among theirs, counted, and revoked with them. */
  readonly user?: string | undefined;
  readonly device?: Device | undefined;
  /**
   * Id the visitor came with, and that opens nothing. With a user this is their login: requests that are under way with
   * that id begin no session of their own for `rotationGrace`, and a login that was sent twice is one session. Without
   * one it rejects with `SessionGoneError` where a login or a logout has ended that id within this time.
   */
  readonly replaces?: string | undefined;
}

export interface RotateSession {
  /** The session belongs to this user from here on; what was open under the old id is not. */
  readonly user?: string | undefined;
  readonly device?: Device | undefined;
}

/** Thousandths of the idle time after which a load writes the time of use: a tenth. */
const TOUCH_AFTER = 100;
const NEVER_TOUCH = 2_000;
/** Others change the session at the same time, again and again. */
const ATTEMPTS = 5;
/** Rotations that a save may meet. */
const MOST_MOVES = 16;

export class SessionService<Data extends object = SessionData> {
  readonly settings: ResolvedSession;
  readonly #client: RedisClient;
  readonly #keys: SessionKeys;
  readonly #seal: SessionSeal;
  readonly #clock: Clock;
  readonly #trail: SessionTrail;
  readonly #calls: SessionCalls;

  constructor({ client, namespace, codec, settings, clock = systemClock }: SessionServiceParts) {
    this.settings = settings;
    this.#client = client;
    this.#keys = new SessionKeys(namespace);
    this.#seal = new SessionSeal(codec, namespace);
    this.#clock = clock;
    this.#trail = new SessionTrail(client, this.#keys);
    this.#calls = new SessionCalls(clock);
  }

  /** What became of each operation so far, by its name. */
  stats(): Readonly<Record<string, SessionCounts>> {
    return this.#calls.stats();
  }

  // -- one session ------------------------------------------------------------------------------------------

  /** @throws TooManySessionsError when the user has as many as may be and `onTooMany` is `'refuse'` */
  async create(options: CreateSession<Data> = {}): Promise<Session<Data>> {
    const { data = {}, user, device, replaces } = options;
    const meta = { user: user ?? null, createdAt: this.#clock.wallNow(), device: device ?? null };
    const former = refOf(replaces);
    const session = await this.#calls.guard('create', () => {
      if (former === undefined) return this.#create(meta, { ...data });
      return meta.user === null
        ? this.#begin(former, meta, { ...data })
        : this.#logIn(former, { ...meta, user: meta.user }, { ...data });
    });
    return session as Session<Data>;
  }

  /**
   * The session of an id, or undefined when there is none, or none that can be read: an event tells of that. Using it
   * puts its end off.
   */
  async load(id: string | undefined): Promise<Session<Data> | undefined> {
    const ref = refOf(id);
    if (id === undefined || ref === undefined) return undefined;
    const found = this.#calls.guard('load', () => this.#load(id, ref, TOUCH_AFTER));
    return (await found.catch(noneIfUnreadable)) as Session<Data> | undefined;
  }

  /**
   * Stores what has changed since the session was read, and nothing else, so that two requests which change different
   * fields both count. @throws SessionGoneError when it has ended meanwhile; it does not come back
   */
  async save(session: Session<Data>): Promise<Session<Data>> {
    const saved = await this.#calls.guard('save', () => this.#save(session as unknown as Session));
    return saved as unknown as Session<Data>;
  }

  /** Puts the end off by a whole idle time. @returns whether there is such a session */
  async touch(id: string): Promise<boolean> {
    const ref = refOf(id);
    if (ref === undefined) return false;
    const found = this.#calls.guard('touch', () => this.#load(id, ref, 0));
    return (await found.catch(noneIfUnreadable)) !== undefined;
  }

  /**
   * The same session under a new id: after a login, a change of rights, or from time to time. Without a change of user
   * the old id leads to it for `rotationGrace`; with one, the old id opens nothing from here on.
   */
  async rotate(session: Session<Data>, options: RotateSession = {}): Promise<Session<Data>> {
    const { user = session.user, device = session.device } = options;
    const rotated = await this.#calls.guard('rotate', () =>
      user === session.user
        ? this.#rotate(session as unknown as Session, device)
        : this.#handOver(session as unknown as Session, { user, device }),
    );
    return rotated as unknown as Session<Data>;
  }

  /** @returns whether there was one */
  async destroy(session: Session<Data> | string): Promise<boolean> {
    const ref = typeof session === 'string' ? refOf(session) : session.state;
    if (ref === undefined) return false;
    const { graceMs } = this.settings;
    return this.#calls.guard('destroy', async () => (await this.#trail.end(ref, { graceMs })).was);
  }

  // -- the sessions of a user -------------------------------------------------------------------------------

  /** The most recently used first. */
  async listByUser(user: string): Promise<SessionInfo[]> {
    return this.#calls.guard('list', async () => {
      const tag = tagOfUser(this.#keys.namespace, user);
      const handles = await this.#client.command<string[]>('ZRANGE', [this.#keys.index(tag), 0, -1]);
      const infos = await inBatches(handles, (handle) => this.#info({ tag, handle }));
      return infos.filter((info) => info !== undefined).toSorted((a, b) => b.lastUsedAt - a.lastUsedAt);
    });
  }

  /** Ends one session of a user, by its handle from the list. @returns whether there was one */
  async revoke(user: string, handle: string): Promise<boolean> {
    if (!isHandle(handle)) return false;
    const tag = tagOfUser(this.#keys.namespace, user);
    return this.#calls.guard('revoke', async () => (await this.#trail.end({ tag, handle })).was);
  }

  /**
   * Logs a user out everywhere, in one step and for every process at once; with `except`, everywhere else.
   * @returns how many sessions ended
   */
  async destroyAllOfUser(
    user: string,
    options: { except?: Session<Data> | undefined } = {},
  ): Promise<number> {
    return this.#calls.guard('revoke-all', async () => {
      const tag = tagOfUser(this.#keys.namespace, user);
      const except = await this.#handleOf(options.except);
      const handles = await this.#client.run(revokeAllScript, [this.#keys.index(tag)], { except });
      const ended = handles.filter((handle) => handle !== except);
      await this.#discard(tag, ended);
      return ended.length;
    });
  }

  /** Another request may have given it a new id since it was read. */
  async #handleOf(session: Session<Data> | undefined): Promise<string> {
    if (session === undefined) return '';
    const found = await this.#trail.follow(session.state, NEVER_TOUCH);
    return found.state === 'open' ? found.ref.handle : '';
  }

  // -- steps ------------------------------------------------------------------------------------------------

  async #create(meta: SessionMeta, data: SessionData): Promise<Session> {
    const { idleMs, absoluteMs, maxPerUser, onTooMany } = this.settings;
    const tag = meta.user === null ? randomTag() : tagOfUser(this.#keys.namespace, meta.user);
    const id = createId(tag);
    const ref = refOf(id) as SessionRef;
    const key = this.#keys.session(ref);
    const known = snapshot(data);
    const fields = await this.#seal.whole(key, meta, data);
    const created = await this.#client.run(createScript, [key, this.#keys.index(tag)], {
      member: ref.handle,
      idleMs,
      absoluteMs,
      owned: meta.user !== null,
      max: maxPerUser,
      onTooMany,
      fields,
    });
    if (created === 'refused') throw tooMany(maxPerUser);
    await this.#discard(tag, created.evicted);
    const leftMs = absoluteMs === 0 ? idleMs : Math.min(idleMs, absoluteMs);
    return this.#present({ id, ...ref, meta, data, known, version: 1, former: false, leftMs });
  }

  /** For a visitor who comes with an id that opens nothing. */
  async #begin(former: SessionRef, meta: SessionMeta, data: SessionData): Promise<Session> {
    const next = await this.#create(meta, data);
    // Looked for last: whatever ends that id from here on is answered after this.
    const found = await this.#trail.follow(former, NEVER_TOUCH);
    if (found.state !== 'ended') return next;
    await this.#trail.end(next.state);
    throw gone();
  }

  /** A login with an id that opens nothing, be it because the same login was sent before. */
  async #logIn(
    former: SessionRef,
    meta: SessionMeta & { readonly user: string },
    data: SessionData,
  ): Promise<Session> {
    const found = await this.#trail.follow(former, NEVER_TOUCH);
    const copy = { data, known: new Map<string, string>() };
    if (found.state === 'ended' && found.by !== undefined) {
      const tag = tagOfUser(this.#keys.namespace, meta.user);
      const joined = await this.#join(createId(tag), { tag, handle: found.by }, copy);
      if (joined !== undefined) return joined;
    }
    return this.#replace(former, await this.#create(meta, data), copy);
  }

  /** Ends what was open before a login. Where the same login came in between, both get one session. */
  async #replace(former: SessionRef, next: Session, copy: Copy): Promise<Session> {
    const { id, tag, handle } = next.state;
    const { graceMs } = this.settings;
    const ended = await this.#trail.end(former, { graceMs, by: handle }).catch(async (error: unknown) => {
      // Two ids for one visitor, one of which an attacker may have planted, would be worse than a failed login.
      await this.#trail.end({ tag, handle }).catch(() => undefined);
      throw error;
    });
    if (ended.by === undefined || ended.by === handle) return next;
    return (await this.#join(id, { tag, handle: ended.by }, copy)) ?? next;
  }

  /** One session under two ids: each answer carries another one, and nobody knows which the browser hears last. */
  async #join(id: string, target: SessionRef, copy: Copy): Promise<Session | undefined> {
    const next = refOf(id) as SessionRef;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const current = await this.#load(id, target, NEVER_TOUCH).catch(noneIfUnreadable);
      if (current === undefined) return undefined;
      if (await this.#trail.join(next, current.state)) {
        const data = withChanges(current.state.data, copy.data, copy.known);
        return this.#save(this.#present({ ...current.state, data, former: false }));
      }
    }
    return undefined;
  }

  /** @throws InvalidSessionDataError when it can not be read */
  async #load(id: string, start: SessionRef, touchAfter: number): Promise<Session | undefined> {
    const found = await this.#trail.follow(start, touchAfter);
    if (found.state !== 'open') return undefined;
    const { ref, former, loaded } = found;
    const opened = await this.#seal.open(this.#keys.session(ref), loaded.fields);
    const version = Number(loaded.fields.get('v'));
    return this.#present({ id, ...ref, ...opened, version, former, leftMs: loaded.leftMs });
  }

  async #save(session: Session): Promise<Session> {
    const { state } = session;
    const refuses = this.settings.conflict === 'refuse';
    let { handle } = state;
    for (let move = 0; move <= MOST_MOVES; move += 1) {
      // Taken in one step with what is sent: what changes while Redis is asked is for the next save.
      const { changed, removed, now: known } = changesSince(state.known, state.data);
      if (move === 0 && changed.length === 0 && removed.length === 0) return session;
      const key = this.#keys.session({ tag: state.tag, handle });
      const saved: Saved = await this.#client.run(saveScript, [key, this.#keys.index(state.tag)], {
        member: handle,
        token: newToken(),
        version: refuses ? state.version : 0,
        remove: removed.map((name) => `d:${name}`),
        fields: await this.#seal.data(key, state.data, [...changed]),
      });
      if (saved.state === 'saved') {
        const { version, leftMs } = saved;
        const former = state.former || move > 0;
        return this.#present({ ...state, handle, known, version, former, leftMs });
      }
      if (saved.state === 'conflict') throw conflict();
      if (saved.state === 'gone') throw gone();
      handle = saved.to;
    }
    throw gone();
  }

  async #rotate(session: Session, device: Device | undefined): Promise<Session> {
    const { tag } = session.state;
    const id = createId(tag);
    const next = refOf(id) as SessionRef;
    const nextKey = this.#keys.session(next);
    const token = newToken();
    let current = await this.#reload(session);
    for (let attempt = 0; attempt < ATTEMPTS && current !== undefined; attempt += 1) {
      const { handle, meta, version, former } = current.state;
      // Another request was faster, and its answer may be the last that the browser hears: its id has to go on too.
      if (former || session.state.former) {
        const joined = await this.#join(id, current.state, session.state);
        if (joined === undefined) throw gone();
        return joined;
      }
      const data = withChanges(current.state.data, session.state.data, session.state.known);
      const keys = [this.#keys.session({ tag, handle }), this.#keys.index(tag), nextKey] as const;
      const told: SessionMeta = { ...meta, device: device ?? null };
      const known = snapshot(data);
      const fields = await this.#seal.whole(nextKey, told, data);
      const { graceMs } = this.settings;
      const args = { from: handle, to: next.handle, token, version, graceMs, fields };
      const rotated = await this.#client.run(rotateScript, keys, args);
      if (rotated.state === 'saved') {
        const { version: now, leftMs } = rotated;
        return this.#present({ id, ...next, meta: told, data, known, version: now, former: false, leftMs });
      }
      if (rotated.state === 'gone') break;
      current = await this.#reload(session);
    }
    throw current === undefined ? gone() : conflict();
  }

  /** As it is now, wherever it lies by now. */
  #reload({ id, state }: Session): Promise<Session | undefined> {
    return this.#load(id, state, NEVER_TOUCH).catch(noneIfUnreadable);
  }

  /** To another user, or to nobody: another place, so it is made anew and the old one ends with no trace. */
  async #handOver(
    session: Session,
    { user, device }: { user: string | undefined; device: Device | undefined },
  ): Promise<Session> {
    const current = await this.#reload(session);
    if (current === undefined) throw gone();
    const { meta, data } = current.state;
    const taken = withChanges(data, session.state.data, session.state.known);
    const next = await this.#create({ ...meta, user: user ?? null, device: device ?? null }, taken);
    return this.#replace(current.state, next, session.state);
  }

  /** What is no longer listed is ended already; this only frees its memory. */
  async #discard(tag: string, handles: readonly string[]): Promise<void> {
    const keys = handles.map((handle) => this.#keys.session({ tag, handle }));
    await inBatches(keys, (key) => this.#client.command('UNLINK', [key]).catch(() => undefined));
  }

  async #info(ref: SessionRef): Promise<SessionInfo | undefined> {
    const key = this.#keys.session(ref);
    const [fields, left] = await Promise.all([
      this.#client.command<(Buffer | null)[]>('HMGET', [key, META_FIELD, 't'], { reply: 'bytes' }),
      this.#client.command<number>('PTTL', [key]),
    ]);
    const [meta = null, usedAt] = fields;
    if (meta === null || left < 0) return undefined;
    const opened = await this.#seal.open(key, new Map([[META_FIELD, meta]])).catch(noneIfUnreadable);
    if (opened === undefined) return undefined;
    const { createdAt, device } = opened.meta;
    const expiresAt = this.#clock.wallNow() + left;
    return {
      handle: ref.handle,
      createdAt,
      lastUsedAt: Number(String(usedAt)),
      expiresAt,
      device: device ?? undefined,
    };
  }

  #present(state: Session['state']): Session {
    return new Session(state, this.#clock.wallNow());
  }
}

/** What a request has of a session, and what it read. */
type Copy = Pick<SessionState, 'data' | 'known'>;

/** What can not be read is never taken for a session, nor for a reason to keep a visitor out. */
function noneIfUnreadable(error: unknown): undefined {
  if (isRedisModuleError(error) && error.code === 'INVALID_SESSION_DATA') return undefined;
  throw error;
}

function newToken(): string {
  return randomBytes(12).toString('base64url');
}

function gone(): SessionGoneError {
  return new SessionGoneError('the session has ended', { hint: 'log in again' });
}

function conflict(): SessionConflictError {
  return new SessionConflictError('the session was changed by another request', { hint: 'read it again' });
}

function tooMany(most: number): TooManySessionsError {
  return new TooManySessionsError(`the user has ${most} sessions, and may have no more`, {
    hint: 'end one of them: listByUser and revoke',
  });
}
