/** `RedisService` as `@liaoliaots/nestjs-redis` has it, in 9 (`getClient`) and in 10: drivers by name. */
import { DEFAULT_CONNECTION, type NativeRedis } from '../connection/index.js';
import { CompatError } from './compat.errors.js';

export class RedisService {
  readonly #clients: ReadonlyMap<string, NativeRedis>;

  constructor(clients: ReadonlyMap<string, NativeRedis>) {
    this.#clients = clients;
  }

  /** @throws when there is none of that name */
  getOrThrow(name: string = DEFAULT_CONNECTION): NativeRedis {
    const client = this.#clients.get(name);
    if (client !== undefined) return client;
    throw new CompatError(
      `RedisService: there is no '${name}', only: ${[...this.#clients.keys()].join(', ')}`,
      {
        hint: `name it in NativeRedisModule.register('${name}')`,
      },
    );
  }

  /** @throws when there is none of that name */
  getClient(name: string = DEFAULT_CONNECTION): NativeRedis {
    return this.getOrThrow(name);
  }

  /** `null` when there is none of that name. */
  getOrNil(name: string = DEFAULT_CONNECTION): NativeRedis | null {
    return this.#clients.get(name) ?? null;
  }
}
