/** What `CacheService` keeps on every topology. */
import type { Contract } from '../contract.js';
import { fences } from './fences.js';
import { loads } from './loads.js';
import type { CacheSubject } from './subject.js';
import { values } from './values.js';

/** `create` hands out caches of one namespace on one store, each with a client of its own where there is a server. */
export const cacheServiceContract: Contract<CacheSubject> = {
  name: 'CacheService',
  cases: [...values, ...fences, ...loads],
};
