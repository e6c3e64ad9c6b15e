/**
 * The driver, through which all of this room gets it, and strings as fast again as they were before it was loaded.
 *
 * ioredis 6 declares a class that extends `String`. V8 takes `String.prototype` for an object that is still being built
 * from then on, and looks the methods of all strings up in a dictionary: in the whole process a loop over `charCodeAt`,
 * as in routers and serializers of JSON, takes four times as long.
 */
import { Cluster, Command, Redis, ReplyError } from 'ioredis';

/** From about so many reads on V8 remembers where a property was found. */
const READS = 1_000;

/** What properties are read through often is a finished prototype to V8, and stays one whatever extends it later. */
const reader = Object.create(String.prototype) as object;
let found = 0;
for (let i = 0; i < READS; i += 1) if (reader.constructor === String) found += 1;

export { Cluster, Command, Redis, ReplyError };
