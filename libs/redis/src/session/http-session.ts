/** The session of one request: what `request.session` is, on Express and on Fastify. */
import { readCookie, writeCookie } from './cookie.js';
import { SessionGoneError } from './session.errors.js';
import { changesSince, refill, snapshot, withChanges } from './session-seal.js';
import { Session, type Device, type SessionData } from './session.js';
import type { SessionService } from './session-service.js';

export interface HttpSessionRequest {
  readonly cookie: string | undefined;
  readonly overTls: boolean;
}

export interface LoginOptions {
  readonly device?: Device | undefined;
}

export class HttpSession<Data extends object = SessionData> {
  readonly #sessions: SessionService<Data>;
  readonly #overTls: boolean;
  readonly #cameWith: string | undefined;
  #session: Session<Data> | undefined;
  /** Of a visitor without a session: it becomes one as soon as there is something in it. */
  #draft: Partial<Data> = {};
  #loggedOut = false;

  private constructor(
    sessions: SessionService<Data>,
    { overTls }: HttpSessionRequest,
    id: string | undefined,
  ) {
    this.#sessions = sessions;
    this.#overTls = overTls;
    this.#cameWith = id;
  }

  /** @throws SessionUnavailableError when it can not be told whether there is one */
  static async of<Data extends object>(
    sessions: SessionService<Data>,
    request: HttpSessionRequest,
  ): Promise<HttpSession<Data>> {
    const id = readCookie(request.cookie, sessions.settings.cookie.name);
    const session = new HttpSession(sessions, request, id);
    session.#session = await sessions.load(id);
    return session;
  }

  /** Yours to change: stored when the answer is sent, if there is anything to store. */
  get data(): Partial<Data> {
    return this.#session?.data ?? this.#draft;
  }

  /** Who is logged in; undefined for a visitor. */
  get user(): string | undefined {
    return this.#session?.user;
  }

  /** Undefined while the visitor has no session. */
  get current(): Session<Data> | undefined {
    return this.#session;
  }

  /** Under a new id, so that an id somebody planted before the login opens nothing after it. Data stays. */
  async login(user: string, { device }: LoginOptions = {}): Promise<void> {
    await this.#renew(async () => {
      const session = this.#session;
      if (session === undefined) {
        return this.#sessions.create({ user, device, data: this.#draft, replaces: this.#cameWith });
      }
      try {
        return await this.#sessions.rotate(session, { user, device: device ?? session.device });
      } catch (error) {
        if (!(error instanceof SessionGoneError)) throw error;
        // Ended meanwhile, as by the same login that was sent twice. Only what this request has put in is kept.
        const data = withChanges({}, session.state.data, session.state.known) as Partial<Data>;
        return this.#sessions.create({ user, device, data, replaces: session.id });
      }
    });
  }

  /** Ends the session; what is in it is gone. */
  async logout(): Promise<void> {
    // Also one that can not be read here: elsewhere it may be.
    const ended = this.#session ?? this.#cameWith;
    this.#session = undefined;
    this.#draft = {};
    this.#loggedOut = true;
    if (ended !== undefined) await this.#sessions.destroy(ended);
  }

  /** Ends all other sessions of the user. @returns how many there were */
  async logoutElsewhere(): Promise<number> {
    const session = this.#session;
    if (session?.user === undefined) return 0;
    return this.#sessions.destroyAllOfUser(session.user, { except: session });
  }

  /** A new id for the same session, after a change of rights. */
  async regenerate(): Promise<void> {
    const session = this.#session;
    if (session !== undefined) await this.#renew(() => this.#sessions.rotate(session));
  }

  /** Stores what changed, and begins a session for a visitor who has something to keep. */
  async commit(): Promise<void> {
    const session = this.#session;
    try {
      if (session !== undefined) this.#session = await this.#sessions.save(session);
      else if (Object.keys(this.#draft).length > 0) await this.#renew(() => this.#begin());
    } catch (error) {
      if (!(error instanceof SessionGoneError)) throw error;
      // Ended meanwhile, here or elsewhere: the answer goes out, and nothing of this request is kept.
      this.#session = undefined;
      this.#draft = {};
    }
  }

  /** Whether `commit` would have something to do, be it to refuse what can not be stored. */
  get isDirty(): boolean {
    if (this.#session === undefined) return Object.keys(this.#draft).length > 0;
    const { known, data } = this.#session.state;
    try {
      const { changed, removed } = changesSince(known, data);
      return changed.length + removed.length > 0;
    } catch {
      return true;
    }
  }

  /**
   * `Set-Cookie` for the answer, if it needs one. Only a logout takes the cookie back: an id that opens nothing may be
   * the one of before a login whose answer is on its way too, and the browser would drop the new one for it.
   */
  get setCookie(): string | undefined {
    const id = this.#session?.id;
    if (id === this.#cameWith || (id === undefined && !this.#loggedOut)) return undefined;
    return writeCookie(id, this.#sessions.settings, this.#overTls);
  }

  /** After a logout of its own, what it puts in begins anew; else the visitor may be logged in by now. */
  #begin(): Promise<Session<Data>> {
    const replaces = this.#loggedOut ? undefined : this.#cameWith;
    return this.#sessions.create({ data: this.#draft, replaces });
  }

  /** The handler may have the data in its hands and go on with it, so it stays the same object under every id. */
  async #renew(work: () => Promise<Session<Data>>): Promise<void> {
    const data = this.data as SessionData;
    const before = snapshot(data);
    const { state, expiresAt } = await work();
    refill(data, withChanges(state.data, data, before));
    this.#session = new Session({ ...state, data }, expiresAt - state.leftMs);
  }
}
