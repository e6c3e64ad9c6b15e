/** What the console asks for. Its text is what Nest prints when nobody provides it, so it says what to do. */
export const CONSOLE_SOURCE = Symbol.for(
  'what the Redis console shows (import RedisModule, globally or into RedisConsoleModule by its `imports`)',
);
