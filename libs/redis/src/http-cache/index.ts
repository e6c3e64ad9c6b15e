export { answerAtDoor, type DoorOptions } from './answer-at-door.js';
export { CacheInterceptor } from './cache.interceptor.js';
export { CacheMiddleware } from './cache.middleware.js';
export { HttpCache, type HttpCacheRoute } from './http-cache.decorator.js';
export {
  HTTP_CACHE_DEFAULTS,
  InvalidHttpCacheOptionsError,
  resolveHttpCache,
  type CredentialOptions,
  type HttpCacheOptions,
  type ResolvedHttpCache,
} from './http-cache.options.js';
export { HttpAnswers, type HttpAnswersParts } from './route-answers.js';
export type { Dispatch } from './shadow-request.js';
