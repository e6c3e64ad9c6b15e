/**
 * The step of the limiter: any number of groups of limits, each checked whole and charged whole or not at all.
 * A group that is denied writes nothing, but for the mark of a penalty.
 *
 * Groups follow one another as if each had come alone: what one charges, the next one reads.
 */
import { defineScript, replyItems, type Reply, type ScriptKeyspace } from '../connection/index.js';
import { LUA_PRELUDE, type Look, type Standing } from './algorithm.js';
import { concurrencyLua, lookConcurrency } from './concurrency.js';
import { fixedWindowLua, lookFixedWindow } from './fixed-window.js';
import { gcraLua, lookGcra } from './gcra.js';
import { lookSlidingWindow, slidingWindowLua } from './sliding-window.js';

/** What a limit is to the scripts; those with the same print share one definition on the wire. */
export interface TakeTerms {
  readonly code: 'g' | 's' | 'f' | 'c';
  readonly unit: number;
  readonly capacity: number;
  readonly shadow: boolean;
  readonly penaltyMs: number;
  readonly print: string;
}

export interface TakeItem {
  readonly terms: TakeTerms;
  readonly cost: number;
  /** Take up to so many where they are there, `cost` at least; 0 for just the cost. */
  readonly want: number;
  /** Name of the holder of a place; empty for the algorithms that count. */
  readonly holder: string;
  /** It ends its group. */
  readonly last: boolean;
}

export interface TakeArgs {
  readonly mode: 'consume' | 'peek';
  readonly items: readonly TakeItem[];
}

interface TakeAnswer {
  /** Server time in microseconds. */
  readonly now: number;
  readonly states: readonly TakeState[];
}

export interface TakeState {
  /** `shadowed`: denied, but for being a shadow. `penalized`: denied by a penalty, which may begin with it. */
  readonly verdict: 'denied' | 'passed' | 'shadowed' | 'penalized';
  readonly remaining: number;
  /** Microseconds: until it would pass when denied (-1 for never), otherwise until there is more. */
  readonly wait: number;
  /** Microseconds until all of it is back. */
  readonly reset: number;
  /** What was taken. */
  readonly charge: number;
}

const VERDICTS = ['denied', 'passed', 'shadowed', 'penalized'] as const;
const [DENIED, PASSED, SHADOWED, PENALIZED] = [0, 1, 2, 3] as const;
const FIELDS = 5;

const ALGORITHMS_LUA = LUA_PRELUDE + gcraLua + slidingWindowLua + fixedWindowLua + concurrencyLua;

const LOOKS: Readonly<Record<TakeTerms['code'], Look>> = {
  g: lookGcra,
  s: lookSlidingWindow,
  f: lookFixedWindow,
  c: lookConcurrency,
};

/**
 * ARGV: mode, number of definitions, six values for each; then two for each limit: its definition's number,
 * negative when the group goes on after it, and its cost or its holder, who is empty when a place is only looked
 * at. A limit with a penalty has two keys.
 */
export const takeScript = defineScript({
  name: 'rate-limit.take',
  lua: `${ALGORITHMS_LUA}
local commit = ARGV[1] == 'consume'
local defs, at = {}, 3
for i = 1, tonumber(ARGV[2]) do
  defs[i] = {
    its = algorithms[ARGV[at]], unit = tonumber(ARGV[at + 1]), capacity = tonumber(ARGV[at + 2]),
    shadow = ARGV[at + 3] == '1', penalty = tonumber(ARGV[at + 4]), want = tonumber(ARGV[at + 5]),
    holds = ARGV[at] == 'c',
  }
  at = at + 6
end
local out, o, k = {now}, 1, 1
local D, K, M, C, H, R, A, B, P = {}, {}, {}, {}, {}, {}, {}, {}, {}
while ARGV[at] do
  local n, pass, follows = 0, true, true
  while follows do
    n = n + 1
    local number = tonumber(ARGV[at])
    follows = number < 0
    local def = defs[follows and -number or number]
    D[n], K[n] = def, KEYS[k]
    if def.holds then H[n], C[n] = ARGV[at + 1], ARGV[at + 1] == '' and 0 or 1 else H[n], C[n] = '', tonumber(ARGV[at + 1]) end
    R[n], A[n], B[n] = def.its.look(def, KEYS[k])
    P[n] = 0
    if def.penalty > 0 then
      k = k + 1
      M[n], P[n] = KEYS[k], max(0, redis.call('PTTL', KEYS[k]))
    end
    if (R[n] < C[n] or def.capacity == 0 or P[n] > 0) and not def.shadow then pass = false end
    k = k + 1
    at = at + 2
  end
  for i = 1, n do
    local def, cost = D[i], C[i]
    local blocked = P[i] > 0
    local ok = R[i] >= cost and def.capacity > 0 and not blocked
    local charge = 0
    if commit and pass and ok then
      charge = cost
      if def.want > cost then charge = min(def.want, R[i]) end
    end
    local remaining, wait, reset = def.its.tell(def, charge, A[i], B[i])
    local verdict = ${PASSED}
    if not ok then
      if blocked then verdict, wait, remaining = ${PENALIZED}, P[i] * 1000, 0
      else verdict, wait = ${DENIED}, def.its.late(def, cost, A[i], B[i]) end
      if def.capacity == 0 then wait = -1 end
      if def.shadow then verdict = ${SHADOWED}
      elseif commit and def.penalty > 0 and wait >= 0 and not blocked then
        redis.call('SET', M[i], '1', 'PX', format('%.0f', def.penalty))
        verdict, wait = ${PENALIZED}, max(wait, def.penalty * 1000)
      end
    end
    if charge > 0 then def.its.save(def, charge, A[i], B[i], K[i], H[i]) end
    out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5] = verdict, remaining, wait, reset, charge
    o = o + ${FIELDS}
  end
end
return out`,
  args: writeArgs,
  decode: readAnswer,
  twin: (keyspace, keys: readonly string[], args) => takeTwin(keyspace, keys, args),
});

function writeArgs({ mode, items }: TakeArgs): (string | number)[] {
  const numbers = new Map<string, number>();
  const definitions: (string | number)[] = [];
  const uses: (string | number)[] = [];
  for (const { terms, cost, want, holder, last } of items) {
    const print = want === 0 ? terms.print : `${terms.print}|w${want}`;
    let number = numbers.get(print);
    if (number === undefined) {
      number = numbers.size + 1;
      numbers.set(print, number);
      definitions.push(terms.code, terms.unit, terms.capacity, terms.shadow ? 1 : 0, terms.penaltyMs, want);
    }
    uses.push(last ? number : -number, terms.code === 'c' ? holder : cost);
  }
  return [mode, numbers.size, ...definitions, ...uses];
}

function readAnswer(reply: Reply): TakeAnswer {
  const fields = replyItems(reply);
  const states: TakeState[] = [];
  for (let at = 1; at + FIELDS <= fields.length; at += FIELDS) {
    states.push({
      verdict: VERDICTS[Number(fields[at])] ?? 'denied',
      remaining: Number(fields[at + 1]),
      wait: Number(fields[at + 2]),
      reset: Number(fields[at + 3]),
      charge: Number(fields[at + 4]),
    });
  }
  return { now: Number(fields[0]), states };
}

interface Seen {
  readonly item: TakeItem;
  readonly cost: number;
  readonly standing: Standing;
  readonly ok: boolean;
  /** Milliseconds the mark of a penalty still stands. */
  readonly penaltyLeft: number;
  readonly mark: string;
}

function takeTwin(keyspace: ScriptKeyspace, keys: readonly string[], { mode, items }: TakeArgs): number[] {
  const now = keyspace.timeMicros();
  const commit = mode === 'consume';
  const out = [now];
  let group: Seen[] = [];
  let k = 0;
  for (const item of items) {
    const key = keys[k] ?? '';
    const mark = item.terms.penaltyMs > 0 ? (keys[k + 1] ?? '') : '';
    k += mark === '' ? 1 : 2;
    group.push(see({ keyspace, now }, item, { key, mark }));
    if (!item.last) continue;
    const pass = group.every(({ ok, item: { terms } }) => ok || terms.shadow);
    for (const seen of group) out.push(...settle(keyspace, seen, { commit, pass }));
    group = [];
  }
  return out;
}

function see(
  at: { keyspace: ScriptKeyspace; now: number },
  item: TakeItem,
  { key, mark }: { key: string; mark: string },
): Seen {
  const { terms, holder } = item;
  const standing = LOOKS[terms.code]({ ...at, holder }, key, terms);
  const penaltyLeft = mark === '' ? 0 : Math.max(0, Number(at.keyspace.call('PTTL', mark)));
  const cost = terms.code === 'c' ? Math.min(1, holder.length) : item.cost;
  const ok = standing.room >= cost && terms.capacity > 0 && penaltyLeft === 0;
  return { item, cost, standing, ok, penaltyLeft, mark };
}

function settle(keyspace: ScriptKeyspace, seen: Seen, { commit, pass }: { commit: boolean; pass: boolean }) {
  const { item, cost, standing, ok } = seen;
  const { terms, want } = item;
  const taken = want > cost ? Math.min(want, standing.room) : cost;
  const charge = commit && pass && ok ? taken : 0;
  const told = standing.tell(charge);
  if (charge > 0) standing.save(charge);
  if (ok) return [PASSED, told.remaining, told.more, told.reset, charge];

  const blocked = seen.penaltyLeft > 0;
  let wait = blocked ? seen.penaltyLeft * 1_000 : standing.late(cost);
  if (terms.capacity === 0) wait = -1;
  const begins = commit && !terms.shadow && seen.mark !== '' && wait >= 0 && !blocked;
  if (begins) {
    keyspace.call('SET', seen.mark, '1', 'PX', terms.penaltyMs);
    wait = Math.max(wait, terms.penaltyMs * 1_000);
  }
  const verdict = terms.shadow ? SHADOWED : blocked || begins ? PENALIZED : DENIED;
  return [verdict, blocked ? 0 : told.remaining, wait, told.reset, charge];
}

export interface RefundArgs {
  readonly items: readonly { readonly terms: TakeTerms; readonly cost: number }[];
}

/** Gives costs back. A key that is not there is not made: what it counted is over, and so is the debt. */
export const refundScript = defineScript({
  name: 'rate-limit.refund',
  lua: `${ALGORITHMS_LUA}
local out = {}
for i = 1, #KEYS do
  local at = i * 4 - 3
  local its = algorithms[ARGV[at]]
  local def = {unit = tonumber(ARGV[at + 1]), capacity = tonumber(ARGV[at + 2])}
  local cost = tonumber(ARGV[at + 3])
  local _, a, b = its.look(def, KEYS[i])
  if cost > 0 and redis.call('EXISTS', KEYS[i]) == 1 then
    its.restore(def, cost, a, b, KEYS[i])
    _, a, b = its.look(def, KEYS[i])
  end
  out[i] = its.tell(def, 0, a, b)
end
return out`,
  args: ({ items }: RefundArgs) =>
    items.flatMap(({ terms, cost }) => [terms.code, terms.unit, terms.capacity, cost]),
  decode: (reply) => replyItems(reply).map(Number),
  twin: (keyspace, keys: readonly string[], { items }) => {
    const moment = { keyspace, now: keyspace.timeMicros(), holder: '' };
    return items.map(({ terms, cost }, i) => {
      const key = keys[i] ?? '';
      const look = (): Standing => LOOKS[terms.code](moment, key, terms);
      const standing = look();
      if (cost === 0 || keyspace.call('EXISTS', key) !== 1) return standing.tell(0).remaining;
      standing.restore(cost);
      return look().tell(0).remaining;
    });
  },
});
