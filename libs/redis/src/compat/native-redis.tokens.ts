/** `@InjectRedis()` for code that was written for another module and calls the driver itself. */
import { Inject } from '@nestjs/common';
import { DEFAULT_CONNECTION } from '../connection/index.js';

/** The token of a driver. Its text is what Nest prints when nobody provides it, so it says what to do. */
export function nativeRedisToken(name: string = DEFAULT_CONNECTION): symbol {
  const list = name === DEFAULT_CONNECTION ? '' : `'${name}'`;
  return Symbol.for(`ioredis '${name}' (import NativeRedisModule.register(${list}) beside RedisModule)`);
}

/** `constructor(@InjectRedis() private readonly redis: Redis) {}`, with `Redis` of ioredis. */
export function InjectRedis(name: string = DEFAULT_CONNECTION): PropertyDecorator & ParameterDecorator {
  return Inject(nativeRedisToken(name));
}
