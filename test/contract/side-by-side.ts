/**
 * Runs each case of a contract in several places at the same time, and the cases one after the other: places share
 * nothing, and many cases wait for time to pass. A case meets only its like, so that none which watches the time has a
 * neighbour that keeps the process busy.
 */
import { afterAll, describe, it } from 'vitest';
import type { ContractRunner } from '@anbar/nestjs-redis/testing';

/** Cases that watch the time leave room for a machine that is slow, but not for five of them at once. */
const PLACES_AT_ONCE = 3;

type Body = () => Promise<void>;

/** `register` calls `runContract` for one contract, once for each place. */
export function sideBySide(register: (runner: ContractRunner) => void): void {
  const cases = new Map<string, Map<string, Body>>();
  let place = '';
  register({
    describe: (title, body) => {
      place = title;
      body();
    },
    it: (title, body) => {
      const places = cases.get(title) ?? new Map<string, Body>();
      if (places.has(place)) throw new Error(`${place} has two cases '${title}'`);
      cases.set(title, places.set(place, body));
    },
    after: afterAll,
  });
  for (const [title, places] of cases) {
    const all = [...places];
    for (let from = 0; from < all.length; from += PLACES_AT_ONCE) {
      describe(title, () => {
        for (const [name, body] of all.slice(from, from + PLACES_AT_ONCE)) it.concurrent(name, body);
      });
    }
  }
}
