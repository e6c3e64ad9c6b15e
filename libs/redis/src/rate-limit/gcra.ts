/**
 * The generic cell rate algorithm: a bucket that refills by one every `unit` microseconds, kept as the one moment
 * at which it will be full again. Over any window T it admits at most `capacity + ceil(T / unit)`.
 */
import { digits, readText, type Look } from './algorithm.js';

export const gcraLua = `
algorithms.g = {
  look = function(def, key)
    local full = digits(read(key)) or now
    if full < now then full = now end
    return floor((now + def.unit * def.capacity - full) / def.unit), full
  end,
  tell = function(def, charge, full)
    local reset = full + def.unit * charge - now
    local left = def.unit * def.capacity - reset
    local remaining = max(0, floor(left / def.unit))
    local more = 0
    if remaining < def.capacity then more = (remaining + 1) * def.unit - left end
    return remaining, more, reset
  end,
  late = function(def, cost, full)
    if cost > def.capacity then return -1 end
    return full + def.unit * cost - now - def.unit * def.capacity
  end,
  save = function(def, charge, full, _, key)
    local new = full + def.unit * charge
    redis.call('SET', key, format('%.0f', new), 'PXAT', format('%.0f', ceil(new / 1000)))
  end,
  restore = function(def, cost, full, _, key)
    local new = full - def.unit * cost
    if new > now then
      redis.call('SET', key, format('%.0f', new), 'PXAT', format('%.0f', ceil(new / 1000)))
    else
      redis.call('UNLINK', key)
    end
  end,
}
`;

export const lookGcra: Look = ({ keyspace, now }, key, { unit, capacity }) => {
  const full = Math.max(now, digits(readText(keyspace, key)) ?? now);
  const write = (moment: number): void => {
    keyspace.call('SET', key, String(moment), 'PXAT', Math.ceil(moment / 1_000));
  };
  return {
    room: Math.floor((now + unit * capacity - full) / unit),
    tell(charge) {
      const reset = full + unit * charge - now;
      const left = unit * capacity - reset;
      const remaining = Math.max(0, Math.floor(left / unit));
      const more = remaining < capacity ? (remaining + 1) * unit - left : 0;
      return { remaining, more, reset };
    },
    late: (cost) => (cost > capacity ? -1 : full + unit * cost - now - unit * capacity),
    save: (charge) => write(full + unit * charge),
    restore(cost) {
      const moment = full - unit * cost;
      if (moment > now) write(moment);
      else keyspace.call('UNLINK', key);
    },
  };
};
