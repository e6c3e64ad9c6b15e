/** What `RedisModule` hands to those that are built on it: named here, where no room above is known. */

/** Its clock, which tests move: `@Inject(CLOCK) clock: Clock`. */
export const CLOCK = Symbol('anbar:clock');

/** First segment of every key it makes up: `@Inject(NAMESPACE) namespace: string`. */
export const NAMESPACE = Symbol('anbar:namespace');
