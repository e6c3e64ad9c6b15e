/** Sessions over one connection: the same for Nest and without it. */
import { createCodec } from './codec/index.js';
import type { RedisConfig } from './config/index.js';
import type { RedisAdapter } from './connection/index.js';
import { SessionService } from './session/index.js';

export function wireSessions(
  { namespace, codec, session }: RedisConfig,
  adapter: RedisAdapter,
): SessionService {
  return new SessionService({
    client: adapter.port,
    namespace,
    codec: createCodec(codec),
    settings: session,
  });
}
