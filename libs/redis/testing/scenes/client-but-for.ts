/** A client that is another one but for one of its methods: what a test holds up, counts or lets fail. */
import type { RedisClient } from '../../src/connection/index.js';

type Method = (...args: unknown[]) => Promise<unknown>;

/** `instead` is given the method as it was. Its first argument is the name of the command, or the script. */
export function clientButFor(
  inner: RedisClient,
  name: 'command' | 'run',
  instead: (method: Method) => Method,
): RedisClient {
  const method = instead(inner[name].bind(inner) as Method);
  return new Proxy(inner, {
    get(target, property) {
      if (property === name) return method;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
