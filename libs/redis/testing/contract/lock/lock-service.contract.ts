/** What `LockService` keeps on every topology. */
import type { Contract } from '../contract.js';
import { holding } from './holding.js';
import type { LockSubject } from './subject.js';
import { waiting } from './waiting.js';

/** `create` hands out services of one namespace on one store, each with a client of its own where there is a server. */
export const lockServiceContract: Contract<LockSubject> = {
  name: 'LockService',
  cases: [...holding, ...waiting],
};
