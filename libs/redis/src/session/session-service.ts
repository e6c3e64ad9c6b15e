/**
 * Sessions that several servers share. One that was destroyed, revoked or has expired stays gone, whatever requests are
 * still under way; and while Redis is away nobody is known, rather than somebody wrongly.
 */
import { randomBytes } from 'node:crypto';
import type { Codec } from '../codec/index.js';
import {
  isRedisModuleError,
  systemClock,
  telemetryChannel,
  type Clock,
  type TelemetryChannel,
} from '../core/index.js';
import type { RedisClient } from '../connection/index.js';
import { createId, isHandle, randomTag, refOf, tagOfUser, type SessionRef } from './session-id.js';
import {
  SessionConflictError,
  SessionGoneError,
  SessionUnavailableError,
  TooManySessionsError,
} from './session.errors.js';
import { SessionKeys } from './session.keys.js';
import type { ResolvedSession } from './session.options.js';
import { changesSince, SessionSeal, snapshot, withChanges } from './session-seal.js';
import {
  META_FIELD,
  Session,
  type Device,
  type SessionData,
  type SessionInfo,
  type SessionMeta,
} from './session.js';
import {
  createScript,
  destroyScript,
  loadScript,
  revokeAllScript,
  rotateScript,
  saveScript,
  type Destroyed,
  type Saved,
} from './session.scripts.js';

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
}

export interface RotateSession {
  /** The session belongs to this user from here on; what was open under the old id is not. */
  readonly user?: string | undefined;
  readonly device?: Device | undefined;
}

/** What became of an operation so far. */
export interface SessionCounts {
  readonly ok: number;
  /** The session is gone, was changed meanwhile, or the user may have no more. */
  readonly refused: number;
  /** Redis did not answer. */
  readonly unavailable: number;
}

/** Thousandths of the idle time after which a load writes the time of use: a tenth. */
const TOUCH_AFTER = 100;
const NEVER_TOUCH = 2_000;
/** Others change the session at the same time, again and again. */
const ROTATE_ATTEMPTS = 5;
/** Rotations that a request may have slept through. */
const MOST_MOVES = 16;

export class SessionService<Data extends object = SessionData> {
  readonly settings: ResolvedSession;
  readonly #client: RedisClient;
  readonly #keys: SessionKeys;
  readonly #seal: SessionSeal;
  readonly #clock: Clock;
  readonly #telemetry: TelemetryChannel = telemetryChannel('session');
  readonly #counts = new Map<string, SessionCounts>();

  constructor({ client, namespace, codec, settings, clock = systemClock }: SessionServiceParts) {
    this.settings = settings;
    this.#client = client;
    this.#keys = new SessionKeys(namespace);
    this.#seal = new SessionSeal(codec, namespace);
    this.#clock = clock;
  }

  /** What became of each operation so far, by its name. */
  stats(): Readonly<Record<string, SessionCounts>> {
    return Object.fromEntries(this.#counts);
  }

  // -- one session ------------------------------------------------------------------------------------------

  /** @throws TooManySessionsError when the user has as many as may be and `onTooMany` is `'refuse'` */
  async create(options: CreateSession<Data> = {}): Promise<Session<Data>> {
    const { data = {}, user, device } = options;
    const meta = { user: user ?? null, createdAt: this.#clock.wallNow(), device: device ?? null };
    const session = await this.#guard('create', () => this.#create(meta, { ...data }));
    return session as Session<Data>;
  }

  /** The session of an id, or undefined when there is none. Using it puts its end off. */
  async load(id: string | undefined): Promise<Session<Data> | undefined> {
    const ref = refOf(id);
    if (id === undefined || ref === undefined) return undefined;
    return this.#guard('load', () => this.#load(id, ref, TOUCH_AFTER) as Promise<Session<Data> | undefined>);
  }

  /**
   * Stores what has changed since the session was read, and nothing else, so that two requests which change different
   * fields both count. @throws SessionGoneError when it has ended meanwhile; it does not come back
   */
  async save(session: Session<Data>): Promise<Session<Data>> {
    const saved = await this.#guard('save', () => this.#save(session as unknown as Session));
    return saved as unknown as Session<Data>;
  }

  /** Puts the end off by a whole idle time. @returns whether there is such a session */
  async touch(id: string): Promise<boolean> {
    const ref = refOf(id);
    if (ref === undefined) return false;
    return this.#guard('touch', async () => (await this.#load(id, ref, 0)) !== undefined);
  }

  /**
   * The same session under a new id: after a login, a change of rights, or from time to time. Without a change of user
   * the old id leads to it for `rotationGrace`; with one, the old id opens nothing from here on.
   */
  async rotate(session: Session<Data>, options: RotateSession = {}): Promise<Session<Data>> {
    const { user = session.user, device = session.device } = options;
    const rotated = await this.#guard('rotate', () =>
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
    return this.#guard('destroy', () => this.#destroy(ref));
  }

  // -- the sessions of a user -------------------------------------------------------------------------------

  /** The most recently used first. */
  async listByUser(user: string): Promise<SessionInfo[]> {
    return this.#guard('list', async () => {
      const tag = tagOfUser(this.#keys.namespace, user);
      const handles = await this.#client.command<string[]>('ZRANGE', [this.#keys.index(tag), 0, -1]);
      const infos = await Promise.all(handles.map((handle) => this.#info({ tag, handle })));
      return infos.filter((info) => info !== undefined).toSorted((a, b) => b.lastUsedAt - a.lastUsedAt);
    });
  }

  /** Ends one session of a user, by its handle from the list. @returns whether there was one */
  async revoke(user: string, handle: string): Promise<boolean> {
    if (!isHandle(handle)) return false;
    const tag = tagOfUser(this.#keys.namespace, user);
    return this.#guard('revoke', () => this.#destroy({ tag, handle }));
  }

  /**
   * Logs a user out everywhere, in one step and for every process at once; with `except`, everywhere else.
   * @returns how many sessions ended
   */
  async destroyAllOfUser(
    user: string,
    options: { except?: Session<Data> | undefined } = {},
  ): Promise<number> {
    return this.#guard('revoke-all', async () => {
      const tag = tagOfUser(this.#keys.namespace, user);
      const except = options.except?.handle ?? '';
      const handles = await this.#client.run(revokeAllScript, [this.#keys.index(tag)], { except });
      const ended = handles.filter((handle) => handle !== except);
      await this.#discard(tag, ended);
      return ended.length;
    });
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
    return this.#present({ id, ...ref, meta, data, known, version: 1, leftMs });
  }

  async #load(id: string, start: SessionRef, touchAfter: number): Promise<Session | undefined> {
    let ref = start;
    for (let move = 0; move <= MOST_MOVES; move += 1) {
      const key = this.#keys.session(ref);
      const args = { member: ref.handle, touchAfter };
      const loaded = await this.#client.run(loadScript, [key, this.#keys.index(ref.tag)], args);
      if (loaded === undefined) return undefined;
      const moved = loaded.fields.get('r')?.toString();
      if (moved === undefined) {
        const opened = await this.#seal.open(key, loaded.fields);
        if (opened === undefined) return undefined;
        const version = Number(loaded.fields.get('v'));
        return this.#present({ id, ...ref, ...opened, version, leftMs: loaded.leftMs });
      }
      ref = { tag: ref.tag, handle: moved };
    }
    return undefined;
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
        const { version } = saved;
        return this.#present({ ...state, handle, known, version, leftMs: this.settings.idleMs });
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
    let current = await this.#load(session.id, session.state, NEVER_TOUCH);
    for (let attempt = 0; attempt < ROTATE_ATTEMPTS && current !== undefined; attempt += 1) {
      const { handle, meta, version, leftMs } = current.state;
      const data = withChanges(current.state.data, session.state.data, session.state.known);
      const keys = [this.#keys.session({ tag, handle }), this.#keys.index(tag), nextKey] as const;
      const told: SessionMeta = { ...meta, device: device ?? null };
      const known = snapshot(data);
      const fields = await this.#seal.whole(nextKey, told, data);
      const { graceMs } = this.settings;
      const args = { from: handle, to: next.handle, token, version, graceMs, fields };
      const rotated = await this.#client.run(rotateScript, keys, args);
      if (rotated.state === 'saved') {
        return this.#present({ id, ...next, meta: told, data, known, version: rotated.version, leftMs });
      }
      if (rotated.state === 'gone') break;
      current = await this.#load(session.id, session.state, NEVER_TOUCH);
    }
    throw current === undefined ? gone() : conflict();
  }

  /** To another user, or to nobody: another place, so it is made anew and the old one ends with no trace. */
  async #handOver(
    session: Session,
    { user, device }: { user: string | undefined; device: Device | undefined },
  ): Promise<Session> {
    const current = await this.#load(session.id, session.state, NEVER_TOUCH);
    if (current === undefined) throw gone();
    const { meta, data } = current.state;
    const taken = withChanges(data, session.state.data, session.state.known);
    const next = await this.#create({ ...meta, user: user ?? null, device: device ?? null }, taken);
    try {
      await this.#destroy(current.state);
    } catch (error) {
      // Two ids for one visitor, one of which an attacker may have planted, would be worse than a failed login.
      await this.#destroy(next.state).catch(() => undefined);
      throw error;
    }
    return next;
  }

  /** Under all the ids it has had: who logs out with the one of before a rotation is logged out. */
  async #destroy({ tag, handle }: SessionRef): Promise<boolean> {
    let next: string | undefined = handle;
    let was = false;
    for (let move = 0; move <= MOST_MOVES && next !== undefined; move += 1) {
      const keys = [this.#keys.session({ tag, handle: next }), this.#keys.index(tag)] as const;
      const destroyed: Destroyed = await this.#client.run(destroyScript, keys, { member: next });
      was ||= destroyed.was;
      next = destroyed.movedTo;
    }
    return was;
  }

  /** What is no longer listed is ended already; this only frees its memory. */
  async #discard(tag: string, handles: readonly string[]): Promise<void> {
    const keys = handles.map((handle) => this.#keys.session({ tag, handle }));
    await Promise.all(keys.map((key) => this.#client.command('UNLINK', [key]).catch(() => undefined)));
  }

  async #info(ref: SessionRef): Promise<SessionInfo | undefined> {
    const key = this.#keys.session(ref);
    const [meta, usedAt, left] = await Promise.all([
      this.#client.command<Buffer | null>('HGET', [key, META_FIELD], { reply: 'bytes' }),
      this.#client.command<string | null>('HGET', [key, 't']),
      this.#client.command<number>('PTTL', [key]),
    ]);
    if (meta === null || left < 0) return undefined;
    const opened = await this.#seal.open(key, new Map([[META_FIELD, meta]]));
    if (opened === undefined) return undefined;
    const { createdAt, device } = opened.meta;
    const expiresAt = this.#clock.wallNow() + left;
    return {
      handle: ref.handle,
      createdAt,
      lastUsedAt: Number(usedAt),
      expiresAt,
      device: device ?? undefined,
    };
  }

  #present(state: Session['state']): Session {
    return new Session(state, this.#clock.wallNow());
  }

  #count(op: string, outcome: string): void {
    const { ok, refused, unavailable: away } = this.#counts.get(op) ?? NOTHING_COUNTED;
    this.#counts.set(op, {
      ok: ok + (outcome === 'ok' ? 1 : 0),
      refused: refused + (outcome === 'ok' || outcome === 'unavailable' ? 0 : 1),
      unavailable: away + (outcome === 'unavailable' ? 1 : 0),
    });
  }

  /** Whatever keeps the question from being answered comes out as one error; the rest as it is. */
  async #guard<T>(op: string, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    let outcome = 'ok';
    try {
      return await work();
    } catch (error) {
      const own = isOwn(error);
      outcome = own ? error.code.toLowerCase() : 'unavailable';
      throw own ? error : unavailable(error);
    } finally {
      this.#count(op, outcome);
      if (this.#telemetry.active) {
        const durationMs = this.#clock.now() - startedAt;
        this.#telemetry.publish({ name: `session.${op}`, subject: 'session', durationMs, outcome });
      }
    }
  }
}

const NOTHING_COUNTED: SessionCounts = { ok: 0, refused: 0, unavailable: 0 };

const OWN = new Set(['SESSION_GONE', 'SESSION_CONFLICT', 'TOO_MANY_SESSIONS', 'INVALID_SESSION_DATA']);

function isOwn(error: unknown): error is { readonly code: string } & Error {
  return isRedisModuleError(error) && OWN.has(error.code);
}

function newToken(): string {
  return randomBytes(12).toString('base64url');
}

function unavailable(cause: unknown): SessionUnavailableError {
  return new SessionUnavailableError('sessions are not available: Redis does not answer', {
    hint: 'answer 503 and let the client try again',
    cause,
  });
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
