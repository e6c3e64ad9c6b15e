/** What `RateLimiter` keeps on every topology. */
import type { Contract } from '../contract.js';
import { counting } from './counting.js';
import { groups } from './groups.js';
import { inputs } from './inputs.js';
import type { RateLimitSubject } from './subject.js';

/** `create` hands out limiters of one namespace on one store, each of which remembers for itself. */
export const rateLimiterContract: Contract<RateLimitSubject> = {
  name: 'RateLimiter',
  cases: [...counting, ...groups, ...inputs],
};
