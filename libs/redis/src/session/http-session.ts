/** The session of one request: what `request.session` is, on Express and on Fastify. */
import { readCookie, writeCookie } from './cookie.js';
import { SessionGoneError } from './session.errors.js';
import { changesSince } from './session-seal.js';
import { Session, type Device, type SessionData } from './session.js';
import type { CreateSession, SessionService } from './session-service.js';

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
    const session = this.#session;
    this.#session =
      session === undefined
        ? await this.#begin({ user, device })
        : await this.#sessions.rotate(session, { user, device: device ?? session.device });
  }

  /** Ends the session; what is in it is gone. */
  async logout(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#draft = {};
    this.#loggedOut = true;
    if (session !== undefined) await this.#sessions.destroy(session);
  }

  /** Ends all other sessions of the user. @returns how many there were */
  async logoutElsewhere(): Promise<number> {
    const session = this.#session;
    if (session?.user === undefined) return 0;
    return this.#sessions.destroyAllOfUser(session.user, { except: session });
  }

  /** A new id for the same session, after a change of rights. */
  async regenerate(): Promise<void> {
    if (this.#session !== undefined) this.#session = await this.#sessions.rotate(this.#session);
  }

  /** Stores what changed, and begins a session for a visitor who has something to keep. */
  async commit(): Promise<void> {
    if (this.#session === undefined) {
      if (Object.keys(this.#draft).length > 0) this.#session = await this.#begin({});
      return;
    }
    try {
      this.#session = await this.#sessions.save(this.#session);
    } catch (error) {
      if (!(error instanceof SessionGoneError)) throw error;
      // Ended meanwhile, here or elsewhere: the answer goes out, and nothing of this request is kept.
      this.#session = undefined;
      this.#draft = {};
    }
  }

  /** Whether `commit` would have something to do. */
  get isDirty(): boolean {
    if (this.#session === undefined) return Object.keys(this.#draft).length > 0;
    const { changed, removed } = changesSince(this.#session.state.known, this.#session.state.data);
    return changed.length + removed.length > 0;
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

  /** The handler may have the draft in its hands and go on with it, so the draft becomes the data of the session. */
  async #begin(owner: Omit<CreateSession<Data>, 'data'>): Promise<Session<Data>> {
    const draft = this.#draft;
    const { state, expiresAt } = await this.#sessions.create({ ...owner, data: draft });
    return new Session({ ...state, data: draft }, expiresAt - state.leftMs);
  }
}
