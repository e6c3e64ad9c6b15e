/** The drivers of RedisModule's connections, for code that calls ioredis itself. */
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { ConnectionRegistry, DEFAULT_CONNECTION, type NativeRedis } from '../connection/index.js';
import { isRedisModuleError } from '../core/index.js';
import { CompatError } from './compat.errors.js';
import { RedisService } from './native-redis.service.js';
import { nativeRedisToken } from './native-redis.tokens.js';

@Module({})
export class NativeRedisModule {
  /** With the names of `connections`; without any it is the default connection. */
  static register(...names: readonly string[]): DynamicModule {
    const wanted = names.length === 0 ? [DEFAULT_CONNECTION] : names;
    const clients = wanted.map((name) => clientOf(name));
    const service: Provider = {
      provide: RedisService,
      inject: wanted.map((name) => nativeRedisToken(name)),
      useFactory: (...found: NativeRedis[]) =>
        new RedisService(new Map(found.map((client, i) => [wanted[i] ?? DEFAULT_CONNECTION, client]))),
    };
    return {
      module: NativeRedisModule,
      global: true,
      providers: [...clients, service],
      exports: [...wanted.map((name) => nativeRedisToken(name)), RedisService],
    };
  }
}

function clientOf(name: string): Provider {
  return {
    provide: nativeRedisToken(name),
    inject: [ConnectionRegistry],
    useFactory: async (registry: ConnectionRegistry): Promise<NativeRedis> => {
      try {
        return await registry.get(name).client();
      } catch (error) {
        if (!isRedisModuleError(error) || error.code !== 'COMMAND_REFUSED') throw error;
        throw new CompatError(
          `@InjectRedis: connection '${name}' runs embedded, and there is no ioredis in it`,
          {
            hint: 'give it a server (REDIS_URL), or inject RedisAdapter, whose methods work on both',
            cause: error,
          },
        );
      }
    },
  };
}
