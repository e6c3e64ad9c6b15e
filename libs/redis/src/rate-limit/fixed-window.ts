/**
 * A counter that begins with the first charge and ends, as a whole, one window later. Around that edge up to
 * twice the limit passes within one window. The expiry is the window: a counter without one counts for nothing.
 */
import { digits, readText, type Look } from './algorithm.js';

export const fixedWindowLua = `
algorithms.f = {
  look = function(def, key)
    local count, left = digits(read(key)), 0
    if count then left = redis.call('PTTL', key) end
    if left <= 0 then count, left = 0, 0 end
    return def.capacity - count, count, left
  end,
  tell = function(def, charge, count, left)
    if charge > 0 and left == 0 then left = def.unit end
    return max(0, def.capacity - count - charge), left * 1000, left * 1000
  end,
  late = function(def, cost, _, left)
    if cost > def.capacity then return -1 end
    return left * 1000
  end,
  save = function(def, charge, count, left, key)
    if left > 0 then redis.call('INCRBY', key, format('%.0f', charge))
    else redis.call('SET', key, format('%.0f', charge), 'PX', format('%.0f', def.unit)) end
  end,
  restore = function(_, cost, count, left, key)
    if left > 0 then redis.call('INCRBY', key, format('%.0f', 0 - min(cost, count))) end
  end,
}
`;

export const lookFixedWindow: Look = ({ keyspace }, key, { unit, capacity }) => {
  const found = digits(readText(keyspace, key));
  const pttl = found === undefined ? 0 : Number(keyspace.call('PTTL', key));
  const left = Math.max(0, pttl);
  const count = left === 0 ? 0 : (found ?? 0);
  return {
    room: capacity - count,
    tell(charge) {
      const rest = (charge > 0 && left === 0 ? unit : left) * 1_000;
      return { remaining: Math.max(0, capacity - count - charge), more: rest, reset: rest };
    },
    late: (cost) => (cost > capacity ? -1 : left * 1_000),
    save(charge) {
      if (left > 0) keyspace.call('INCRBY', key, charge);
      else keyspace.call('SET', key, String(charge), 'PX', unit);
    },
    restore(cost) {
      if (left > 0) keyspace.call('INCRBY', key, 0 - Math.min(cost, count));
    },
  };
};
