/**
 * Places held at the same time: a sorted set of holders by the microsecond at which they are given up for dead.
 * Who lives renews its place; see `held-places.ts`.
 */
import { isWrongType, type Look, type Moment } from './algorithm.js';

/** The key outlives its last place: expiries are counted in whole milliseconds, from the start of a script. */
export const GRACE_MS = 1_000;

export const concurrencyLua = `
algorithms.c = {
  look = function(def, key)
    local held = redis.pcall('ZCOUNT', key, '(' .. format('%.0f', now), '+inf')
    if type(held) ~= 'number' then return def.capacity, 0, true end
    return def.capacity - held, held, false
  end,
  tell = function(def, charge, held) return max(0, def.capacity - held - charge), 0, 0 end,
  late = function(def, cost) if cost > def.capacity then return -1 end return 0 end,
  save = function(def, _, _, foreign, key, holder)
    if foreign then redis.call('UNLINK', key) end
    redis.call('ZREMRANGEBYSCORE', key, '-inf', format('%.0f', now))
    redis.call('ZADD', key, format('%.0f', now + def.unit * 1000), holder)
    local keep = def.unit + ${GRACE_MS}
    if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, format('%.0f', keep)) end
  end,
  restore = function() end,
}
`;

export const lookConcurrency: Look = (moment, key, { unit, capacity }) => {
  const { keyspace, now, holder } = moment;
  const counted = countHeld(moment, key);
  const held = counted ?? 0;
  return {
    room: capacity - held,
    tell: (charge) => ({ remaining: Math.max(0, capacity - held - charge), more: 0, reset: 0 }),
    late: (cost) => (cost > capacity ? -1 : 0),
    save() {
      if (counted === undefined) keyspace.call('UNLINK', key);
      keyspace.call('ZREMRANGEBYSCORE', key, '-inf', now);
      keyspace.call('ZADD', key, now + unit * 1_000, holder);
      const keep = unit + GRACE_MS;
      if (Number(keyspace.call('PTTL', key)) < keep) keyspace.call('PEXPIRE', key, keep);
    },
    // A place is given back by its holder's name.
    restore: () => undefined,
  };
};

/** Undefined for a key of another type. */
function countHeld({ keyspace, now }: Moment, key: string): number | undefined {
  try {
    return Number(keyspace.call('ZCOUNT', key, `(${now}`, '+inf'));
  } catch (error) {
    if (isWrongType(error)) return undefined;
    throw error;
  }
}
