/**
 * Two counters, of this window and of the last one, of which the last counts by the part of it that a window
 * ending now still covers. Exact for even traffic; see docs/rate-limit.md for its bound otherwise.
 *
 * Kept as one text, `index current previous`: two keys would need two expiries and, in a cluster, one slot.
 */
import { readText, type Look, type Terms } from './algorithm.js';

export const slidingWindowLua = `
local function elapsed(def, index) return max(0, ms - index * def.unit) end
local function used(def, index, current, previous)
  return ceil(previous * (def.unit - elapsed(def, index)) / def.unit) + current
end
local function later(def, cost, index, current, previous)
  if cost > def.capacity then return -1 end
  local passed = elapsed(def, index)
  local left = def.unit - passed
  local room = def.capacity - current - cost
  local wait = left
  if room < 0 then wait = left + def.unit - floor((room + current) * def.unit / current)
  elseif previous > 0 then wait = max(0, left - floor(room * def.unit / previous)) end
  return (index * def.unit + passed + wait) * 1000 - now
end
local function put(def, index, current, previous, key)
  redis.call('SET', key, format('%.0f %.0f %.0f', index, current, previous),
    'PXAT', format('%.0f', (index + 2) * def.unit))
end
algorithms.s = {
  look = function(def, key)
    local index, current, previous = string.match(read(key), '^(%d+) (%d+) (%d+)$')
    local present = floor(ms / def.unit)
    if index and max(#index, #current, #previous) <= 16 then
      index, current, previous = tonumber(index), tonumber(current), tonumber(previous)
    else
      index, current, previous = present, 0, 0
    end
    if index < present - 1 or index > present + 1 then index, current, previous = present, 0, 0
    elseif index < present then index, current, previous = present, 0, current end
    return def.capacity - used(def, index, current, previous), index, {current, previous}
  end,
  tell = function(def, charge, index, counts)
    local current, previous = counts[1] + charge, counts[2]
    local remaining = max(0, def.capacity - used(def, index, current, previous))
    local more, reset = 0, 0
    if remaining < def.capacity then more = later(def, remaining + 1, index, current, previous) end
    if current > 0 then reset = (index + 2) * def.unit * 1000 - now
    elseif previous > 0 then reset = (index + 1) * def.unit * 1000 - now end
    return remaining, more, reset
  end,
  late = function(def, cost, index, counts) return later(def, cost, index, counts[1], counts[2]) end,
  save = function(def, charge, index, counts, key) put(def, index, counts[1] + charge, counts[2], key) end,
  restore = function(def, cost, index, counts, key)
    local current = max(0, counts[1] - cost)
    local previous = max(0, counts[2] - max(0, cost - counts[1]))
    if current + previous > 0 then put(def, index, current, previous, key)
    else redis.call('UNLINK', key) end
  end,
}
`;

interface Counters {
  readonly index: number;
  readonly current: number;
  readonly previous: number;
}

export const lookSlidingWindow: Look = ({ keyspace, now }, key, terms) => {
  const ms = Math.floor(now / 1_000);
  const counters = rolled(readText(keyspace, key), Math.floor(ms / terms.unit));
  const { index, current, previous } = counters;
  const write = (next: Counters): void => {
    const text = `${next.index} ${next.current} ${next.previous}`;
    keyspace.call('SET', key, text, 'PXAT', (next.index + 2) * terms.unit);
  };
  return {
    room: terms.capacity - used(terms, counters, ms),
    tell(charge) {
      const next = { index, current: current + charge, previous };
      const remaining = Math.max(0, terms.capacity - used(terms, next, ms));
      const more = remaining < terms.capacity ? late(terms, next, { cost: remaining + 1, now }) : 0;
      return { remaining, more, reset: resetOf(terms, next, now) };
    },
    late: (cost) => late(terms, counters, { cost, now }),
    save: (charge) => write({ index, current: current + charge, previous }),
    restore(cost) {
      const rest = Math.max(0, cost - current);
      const next = { index, current: Math.max(0, current - cost), previous: Math.max(0, previous - rest) };
      if (next.current + next.previous > 0) write(next);
      else keyspace.call('UNLINK', key);
    },
  };
};

/**
 * The counters as they are in the window `present`. A clock set back across its edge does not roll them; what is
 * further off was counted in windows of another length, and counts for nothing.
 */
function rolled(text: string, present: number): Counters {
  const [, index, current, previous] = /^(\d{1,16}) (\d{1,16}) (\d{1,16})$/u.exec(text) ?? [];
  if (index === undefined || Number(index) < present - 1 || Number(index) > present + 1) {
    return { index: present, current: 0, previous: 0 };
  }
  if (Number(index) < present) return { index: present, current: 0, previous: Number(current) };
  return { index: Number(index), current: Number(current), previous: Number(previous) };
}

function used({ unit }: Terms, { index, current, previous }: Counters, ms: number): number {
  return Math.ceil((previous * (unit - elapsed(unit, index, ms))) / unit) + current;
}

/** The first millisecond at which the cost fits, in this window, or in the next one where this one is the last. */
function late({ unit, capacity }: Terms, counters: Counters, ask: { cost: number; now: number }): number {
  if (ask.cost > capacity) return -1;
  const { index, current, previous } = counters;
  const passed = elapsed(unit, index, Math.floor(ask.now / 1_000));
  const left = unit - passed;
  const room = capacity - current - ask.cost;
  let wait = left;
  if (room < 0) wait = left + unit - Math.floor(((room + current) * unit) / current);
  else if (previous > 0) wait = Math.max(0, left - Math.floor((room * unit) / previous));
  return (index * unit + passed + wait) * 1_000 - ask.now;
}

function elapsed(unit: number, index: number, ms: number): number {
  return Math.max(0, ms - index * unit);
}

function resetOf({ unit }: Terms, { index, current, previous }: Counters, now: number): number {
  if (current > 0) return (index + 2) * unit * 1_000 - now;
  return previous > 0 ? (index + 1) * unit * 1_000 - now : 0;
}
