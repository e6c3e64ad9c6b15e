/** What a key's state means for who reads it: one sentence for each way of reading. */
import type { KeyReading } from './console.source.js';

export interface AdvisedKey extends KeyReading {
  /** What `get` answers now. */
  readonly get: string;
  /** What `getOrSet`, and `@Cacheable`, do now. */
  readonly getOrSet: string;
}

export function withAdvice(reading: KeyReading): AdvisedKey {
  return { ...reading, ...adviceOf(reading) };
}

function adviceOf({ state, tier, negative, lease }: KeyReading): Pick<AdvisedKey, 'get' | 'getOrSet'> {
  const load = lease === undefined ? 'runs its loader' : 'waits for the load that is under way';
  const place = tier === 'l1' ? 'from this process' : 'from Redis';
  switch (state) {
    case 'fresh': {
      const what = negative ? 'answers that there is nothing' : 'answers it';
      return { get: `${what}, ${place}`, getOrSet: `${what}, ${place}, without its loader` };
    }
    case 'stale':
      return {
        get: 'answers nothing, unless it allows stale values',
        getOrSet: `answers it stale where that is allowed and loads meanwhile; else ${load}`,
      };
    case 'doubtful':
      return {
        get: 'answers the last known value',
        getOrSet: 'answers the last known value, and tries its loader now and then',
      };
    case 'counter':
      return { get: 'answers its count', getOrSet: 'answers its count' };
    case 'hash':
      return {
        get: 'answers nothing: hget reads it',
        getOrSet: `${load}, and its value takes the place of the hash`,
      };
    default:
      return { get: 'answers nothing', getOrSet: load };
  }
}
