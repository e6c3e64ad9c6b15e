/** Which locks the present chain of calls runs under. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { HeldLock, Hold } from './hold.js';

interface Around {
  /** The name of its key in Redis. */
  readonly name: string;
  /** Whose it is: two services may use the same names on different servers. */
  readonly service: object;
  readonly hold: Hold;
  readonly outer: Around | undefined;
}

const context = new AsyncLocalStorage<Around>();

export function runUnder<T>(place: { name: string; service: object; hold: Hold }, work: () => T): T {
  return context.run({ ...place, outer: context.getStore() }, work);
}

/** The hold of that lock further out in this chain of calls, unless it is over. */
export function holdAround(name: string, service: object): Hold | undefined {
  for (let around = context.getStore(); around !== undefined; around = around.outer) {
    if (around.name === name && around.service === service && around.hold.held) return around.hold;
  }
  return undefined;
}

/** The innermost lock that the present call runs under, for code that was not handed it: `@Lock` methods. */
export function currentLock(): HeldLock | undefined {
  return context.getStore()?.hold;
}
