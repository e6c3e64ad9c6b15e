/** How a connection is asked for by name. */
import { Inject } from '@nestjs/common';
import { DEFAULT_CONNECTION, RedisAdapter } from './connection/index.js';

/**
 * The token of a connection. Its text is what Nest prints when nobody provides it, so it says what to do.
 */
export function redisToken(name: string = DEFAULT_CONNECTION): symbol | typeof RedisAdapter {
  if (name === DEFAULT_CONNECTION) return RedisAdapter;
  return Symbol.for(
    `RedisAdapter '${name}' (declare it: RedisModule.forRoot({ connections: { ${name}: … } }), ` +
      `or forRootAsync({ names: ['${name}'], … }))`,
  );
}

/** What the engines of one module stand in; only tests put anything there. */
export const SURROUNDINGS = Symbol('anbar:surroundings');

/** `constructor(@InjectRedis('reports') private readonly reports: RedisAdapter) {}` */
export function InjectRedis(name: string = DEFAULT_CONNECTION): PropertyDecorator & ParameterDecorator {
  return Inject(redisToken(name));
}
