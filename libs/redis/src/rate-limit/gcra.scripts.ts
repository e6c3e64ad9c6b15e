/**
 * The step of the limiter for what is by far asked most: limits by GCRA with nothing beside, in groups that are
 * charged whole or not at all. The same as `takeScript` on them, in less than half of the server's time: it reads all
 * keys at once and answers with one number for each, from which the rest follows. A key that many ask for at once is
 * written once per call.
 */
import { defineScript, replyItems } from '../connection/index.js';
import type { Standing } from './algorithm.js';
import { lookGcra } from './gcra.js';
import type { TakeItem, TakeState } from './take.scripts.js';

interface GcraArgs {
  readonly items: readonly TakeItem[];
}

export interface GcraAnswer {
  readonly now: number;
  /** Microseconds until all of it is back, after the charge; for a denied group below zero: -1 less that. */
  readonly resets: readonly number[];
}

/** How an item is written as one number: its cost, the number of its definition, and whether its group goes on. */
const PER_COST = 1_024;
const MAX_DEFINITIONS = 511;

/** Whether this script will do: anything else goes to `takeScript`. */
export function isPlain({ terms, want }: TakeItem): boolean {
  return terms.code === 'g' && terms.penaltyMs === 0 && !terms.shadow && want === 0 && terms.capacity > 0;
}

/** ARGV: number of definitions, unit and capacity of each, then one number for each key. */
export const gcraScript = defineScript({
  name: 'rate-limit.gcra',
  lua: `
local floor, ceil, format, match = math.floor, math.ceil, string.format, string.match
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local held = redis.call('MGET', unpack(KEYS))
local items = 2 * tonumber(ARGV[1]) + 1
local charges, tolerances, goesOn = {}, {}, {}
local function learn(word)
  local number = tonumber(word)
  local at = 2 * floor(number % ${PER_COST} / 2)
  local unit = tonumber(ARGV[at])
  charges[word] = unit * floor(number / ${PER_COST})
  tolerances[word] = unit * tonumber(ARGV[at + 1])
  goesOn[word] = number % 2 == 1
  return charges[word]
end
local seen, charged, out, i, n = {}, {}, {now}, 1, #KEYS
local function ahead(i)
  local reset = seen[KEYS[i]]
  if reset then return reset end
  local found = held[i]
  if found and #found <= 16 and match(found, '^%d+$') then
    local full = tonumber(found)
    if full > now then return full - now end
  end
  return 0
end
local function save(key, reset)
  if not seen[key] then charged[#charged + 1] = key end
  seen[key] = reset
end
while i <= n do
  local word = ARGV[items + i]
  local charge = charges[word] or learn(word)
  if not goesOn[word] then
    local reset = ahead(i)
    if reset + charge > tolerances[word] then
      out[i + 1] = -1 - reset
    else
      if charge > 0 then save(KEYS[i], reset + charge) end
      out[i + 1] = reset + charge
    end
    i = i + 1
  else
    local from, pass, more = i, true, true
    while more do
      word = ARGV[items + i]
      charge = charges[word] or learn(word)
      more = goesOn[word]
      out[i + 1] = ahead(i)
      if out[i + 1] + charge > tolerances[word] then pass = false end
      i = i + 1
    end
    for j = from, i - 1 do
      if pass then
        charge = charges[ARGV[items + j]]
        out[j + 1] = out[j + 1] + charge
        if charge > 0 then save(KEYS[j], out[j + 1]) end
      else
        out[j + 1] = -1 - out[j + 1]
      end
    end
  end
end
for _, key in ipairs(charged) do
  local full = now + seen[key]
  redis.call('SET', key, format('%.0f', full), 'PXAT', format('%.0f', ceil(full / 1000)))
end
return out`,
  args: writeArgs,
  decode: (reply): GcraAnswer => {
    const [now, ...resets] = replyItems(reply).map(Number);
    return { now: now ?? 0, resets };
  },
  twin: (keyspace, keys: readonly string[], { items }) => {
    const moment = { keyspace, now: keyspace.timeMicros(), holder: '' };
    const out = [moment.now];
    let group: { readonly cost: number; readonly standing: Standing }[] = [];
    for (const [i, { terms, cost, last }] of items.entries()) {
      group.push({ cost, standing: lookGcra(moment, keys[i] ?? '', terms) });
      if (!last) continue;
      const pass = group.every(({ cost: its, standing }) => its <= standing.room);
      for (const { cost: its, standing } of group) {
        if (pass && its > 0) standing.save(its);
        out.push(pass ? standing.tell(its).reset : -1 - standing.tell(0).reset);
      }
      group = [];
    }
    return out;
  },
});

function writeArgs({ items }: GcraArgs): (string | number)[] {
  const numbers = new Map<string, number>();
  const args: (string | number)[] = [0];
  const words: number[] = [];
  for (const { terms, cost, last } of items) {
    let number = numbers.get(terms.print);
    if (number === undefined) {
      number = numbers.size + 1;
      numbers.set(terms.print, number);
      args.push(terms.unit, terms.capacity);
    }
    words.push(cost * PER_COST + number * 2 + (last ? 0 : 1));
  }
  if (numbers.size > MAX_DEFINITIONS) throw new RangeError('too many definitions for one call');
  args[0] = numbers.size;
  return args.concat(words);
}

/** What `takeScript` would have said of one of them. */
export function gcraState({ terms, cost }: TakeItem, said: number): TakeState {
  const { unit, capacity } = terms;
  const charged = said >= 0;
  const reset = charged ? said : -1 - said;
  const left = unit * capacity - reset;
  const remaining = Math.max(0, Math.floor(left / unit));
  if (!charged && cost > remaining) {
    return {
      verdict: 'denied',
      remaining,
      wait: cost > capacity ? -1 : unit * cost - left,
      reset,
      charge: 0,
    };
  }
  const more = remaining < capacity ? (remaining + 1) * unit - left : 0;
  return { verdict: 'passed', remaining, wait: more, reset, charge: charged ? cost : 0 };
}
