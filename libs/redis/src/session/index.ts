export { sessionCleanup, settleIndexScript, settleSessionScript } from './session.cleanup.js';
export {
  InvalidSessionDataError,
  InvalidSessionOptionsError,
  SessionConflictError,
  SessionGoneError,
  SessionUnavailableError,
  TooManySessionsError,
} from './session.errors.js';
export {
  resolveSession,
  SESSION_DEFAULTS,
  type ResolvedSession,
  type ResolvedSessionCookie,
  type SessionCookieOptions,
  type SessionOptions,
} from './session.options.js';
export {
  createScript,
  destroyScript,
  joinScript,
  loadScript,
  revokeAllScript,
  rotateScript,
  saveScript,
} from './session.scripts.js';
export { Session, type Device, type SessionData, type SessionInfo } from './session.js';
export type { SessionCounts } from './session-calls.js';
export {
  SessionService,
  type CreateSession,
  type RotateSession,
  type SessionServiceParts,
} from './session-service.js';
export {
  expressSessionStore,
  putRecordScript,
  touchRecordScript,
  type ExpressSessionModule,
  type ExpressSessionRecord,
  type ExpressSessionStoreParts,
  type ExpressStore,
} from './express-session-store.js';
export { expressSessions, type SessionHandler } from './express-sessions.js';
export { fastifySessions, type FastifyLike, type FastifySessionPlugin } from './fastify-sessions.js';
export { HttpSession, type HttpSessionRequest, type LoginOptions } from './http-session.js';
export { SessionMiddleware } from './session.middleware.js';
