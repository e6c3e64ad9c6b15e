/** `RedisStore` as `connect-redis` has it, over our store for express-session; sessions of before go on. */
import { callbackify, promisify } from 'node:util';
import { createCodec } from '../codec/index.js';
import type { RedisClient } from '../connection/index.js';
import {
  expressSessionStore,
  resolveSession,
  type ExpressSessionModule,
  type ExpressSessionRecord,
  type ExpressStore,
} from '../session/index.js';

/** As much of an adapter as is needed: `app.get(RedisAdapter)`, or `createRedis().adapter`. */
export interface StoreConnection {
  readonly port: RedisClient;
}

export interface RedisStoreOptions {
  client: StoreConnection;
  /** Where `connect-redis` has put its sessions: those are taken over when they are next asked for. @default 'sess:' */
  prefix?: string | undefined;
  /** Seconds a session without an expiry of its own is kept. @default 86_400 */
  ttl?: number | undefined;
  /** First segment of the keys in Redis. @default 'app' */
  namespace?: string | undefined;
}

type Callback = (error: unknown, value?: unknown) => void;

const DAY_S = 86_400;

/**
 * ```ts
 * const RedisStore = connectRedis(session);
 * app.use(session({ store: new RedisStore({ client: app.get(RedisAdapter) }), … }));
 * ```
 */
export function connectRedis<Base extends object>(
  session: ExpressSessionModule<Base>,
): new (options: RedisStoreOptions) => Base & ExpressStore {
  function RedisStore({ client, prefix = 'sess:', ttl = DAY_S, namespace = 'app' }: RedisStoreOptions) {
    const store = expressSessionStore(session, {
      client: client.port,
      namespace,
      codec: createCodec({}),
      settings: resolveSession({ idle: ttl, absolute: Math.max(ttl, 30 * DAY_S) }),
    });
    return withSessionsOfBefore(store, client.port, prefix);
  }
  // `new` on a function that returns an object gives that object: the base class is the caller's, and known only now.
  return RedisStore as unknown as new (options: RedisStoreOptions) => Base & ExpressStore;
}

/** Looks where `connect-redis` kept it before it says that there is none. */
function withSessionsOfBefore<Base extends object>(
  store: Base & ExpressStore,
  client: RedisClient,
  prefix: string,
): Base & ExpressStore {
  // In their places stand others presently, so these are bound to what they do now.
  const get = promisify<string, unknown>(store.get.bind(store));
  const set = promisify(store.set.bind(store));
  const destroy = promisify(store.destroy.bind(store));
  const forget = (id: string): Promise<unknown> => client.command('UNLINK', [prefix + id]);
  const adopt = async (id: string): Promise<unknown> => {
    const text = await client.command<string | null>('GET', [prefix + id], { anyType: true });
    const found = text === null ? undefined : recordIn(text);
    if (found === undefined) return null;
    await set(id, found);
    await forget(id);
    return found;
  };
  return Object.assign(store, {
    get: answered(async (id) => (await get(id)) ?? (await adopt(id))),
    destroy: answered(async (id) => {
      // The one of before first: the record that is left then says that this session is over.
      await forget(id);
      await destroy(id);
    }),
  });
}

function answered(work: (id: string) => Promise<unknown>) {
  const called = callbackify(work);
  return (id: string, callback: Callback = () => undefined): void => {
    called(id, (error, value) => callback(error, value));
  };
}

function recordIn(text: string): ExpressSessionRecord | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === 'object' && found !== null ? found : undefined;
  } catch {
    return undefined;
  }
}
