/** What `PubSub` keeps on every topology. */
import type { Contract } from '../contract.js';
import { groups } from './groups.js';
import { live } from './live.js';
import { streams } from './streams.js';
import type { PubSubSubject } from './subject.js';

/** `create` hands out services of one namespace on one store, each with a client of its own where there is a server. */
export const pubSubContract: Contract<PubSubSubject> = {
  name: 'PubSub',
  cases: [...live, ...streams, ...groups],
};
