/** What sessions promise, on whatever store. */
import type { Contract } from '../contract.js';
import { life } from './life.js';
import type { SessionSubject } from './subject.js';
import { usersAndAttacks } from './users.js';

export const sessionServiceContract: Contract<SessionSubject> = {
  name: 'SessionService',
  cases: [...life, ...usersAndAttacks],
};
