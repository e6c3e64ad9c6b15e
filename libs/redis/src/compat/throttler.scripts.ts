/**
 * One hit, as the memory storage of `@nestjs/throttler` counts it: the log of hits slides, so a limit holds in any
 * window; who is over it is blocked, and while that lasts nothing is counted. By the server's clock, in one step.
 */
import { defineScript, replyItems, type Reply, type ScriptKeyspace } from '../connection/index.js';
import type { RecordKeys } from './throttler.keys.js';

export interface HitArgs {
  readonly ttlMs: number;
  readonly limit: number;
  /** 0 blocks nobody beyond the window. */
  readonly blockMs: number;
}

export interface Hit {
  readonly totalHits: number;
  readonly expireMs: number;
  readonly blocked: boolean;
  readonly blockMs: number;
}

export const hitScript = defineScript({
  name: 'throttler.hit',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ttl, limit, block = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local format = function(number) return string.format('%.0f', number) end

local first = redis.call('LINDEX', KEYS[1], 0)
while first and tonumber(first) <= now do
  redis.call('LPOP', KEYS[1])
  first = redis.call('LINDEX', KEYS[1], 0)
end
local total = redis.call('LLEN', KEYS[1])

local ends, blocked = 0, 0
local state = redis.call('GET', KEYS[2])
if state then
  local a, b = string.match(state, '^(%d+) (%d+)$')
  ends, blocked = tonumber(a) or 0, tonumber(b) or 0
end
if ends <= now then ends = now + ttl end

local function count()
  redis.call('RPUSH', KEYS[1], format(now + ttl))
  total = total + 1
end

local denied, left, told = 0, 0, 0
if block <= 0 then
  blocked = 0
  if total >= limit then
    denied, told = 1, total + 1
    left = ends - now
    if first then left = tonumber(first) - now end
  else
    count()
    told = total
  end
else
  if blocked > 0 and blocked <= now then
    redis.call('DEL', KEYS[1])
    total, blocked = 0, 0
  end
  if blocked == 0 then count() end
  if blocked == 0 and total > limit then blocked = now + block end
  if blocked > 0 then denied, left = 1, blocked - now end
  told = total
end

local last = redis.call('LINDEX', KEYS[1], -1)
local gone = math.max(ends, blocked, last and tonumber(last) or 0) - now
redis.call('SET', KEYS[2], format(ends) .. ' ' .. format(blocked), 'PX', format(gone))
if last then redis.call('PEXPIRE', KEYS[1], format(gone)) end
return {told, ends - now, denied, left}`,
  args: ({ ttlMs, limit, blockMs }: HitArgs) => [ttlMs, limit, blockMs],
  decode: (reply): Hit => {
    const [totalHits = 0, expireMs = 0, blocked = 0, blockMs = 0] = replyItems(reply).map(Number);
    return { totalHits, expireMs, blocked: blocked === 1, blockMs };
  },
  twin: (keyspace, keys: RecordKeys, args) => new Twin(keyspace, keys, args).hit(),
});

class Twin {
  readonly #keyspace: ScriptKeyspace;
  readonly #keys: RecordKeys;
  readonly #args: HitArgs;
  readonly #now: number;
  #total = 0;
  #ends = 0;
  #blocked = 0;

  constructor(keyspace: ScriptKeyspace, keys: RecordKeys, args: HitArgs) {
    this.#keyspace = keyspace;
    this.#keys = keys;
    this.#args = args;
    this.#now = Math.floor(keyspace.timeMicros() / 1_000);
  }

  hit(): Reply {
    const first = this.#forgetOld();
    this.#readState();
    const answer = this.#args.blockMs <= 0 ? this.#within(first) : this.#orBlocked();
    this.#keep();
    return answer;
  }

  /** @returns when the oldest hit that counts will be forgotten */
  #forgetOld(): number | undefined {
    const [hits] = this.#keys;
    let first = this.#at(0);
    while (first !== undefined && first <= this.#now) {
      this.#keyspace.call('LPOP', hits);
      first = this.#at(0);
    }
    this.#total = Number(this.#keyspace.call('LLEN', hits));
    return first;
  }

  #readState(): void {
    const state = this.#keyspace.call('GET', this.#keys[1]);
    const found = /^(\d+) (\d+)$/u.exec(Buffer.isBuffer(state) ? state.toString('latin1') : '');
    this.#ends = Number(found?.[1] ?? 0);
    this.#blocked = Number(found?.[2] ?? 0);
    if (this.#ends <= this.#now) this.#ends = this.#now + this.#args.ttlMs;
  }

  #within(first: number | undefined): Reply {
    this.#blocked = 0;
    const left = this.#ends - this.#now;
    if (this.#total >= this.#args.limit) {
      return [this.#total + 1, left, 1, first === undefined ? left : first - this.#now];
    }
    this.#count();
    return [this.#total, left, 0, 0];
  }

  #orBlocked(): Reply {
    const { limit, blockMs } = this.#args;
    if (this.#blocked > 0 && this.#blocked <= this.#now) {
      this.#keyspace.call('DEL', this.#keys[0]);
      this.#total = 0;
      this.#blocked = 0;
    }
    if (this.#blocked === 0) this.#count();
    if (this.#blocked === 0 && this.#total > limit) this.#blocked = this.#now + blockMs;
    const denied = this.#blocked > 0;
    return [this.#total, this.#ends - this.#now, denied ? 1 : 0, denied ? this.#blocked - this.#now : 0];
  }

  #count(): void {
    this.#keyspace.call('RPUSH', this.#keys[0], String(this.#now + this.#args.ttlMs));
    this.#total += 1;
  }

  #keep(): void {
    const [hits, state] = this.#keys;
    const last = this.#at(-1);
    const gone = Math.max(this.#ends, this.#blocked, last ?? 0) - this.#now;
    this.#keyspace.call('SET', state, `${this.#ends} ${this.#blocked}`, 'PX', gone);
    if (last !== undefined) this.#keyspace.call('PEXPIRE', hits, gone);
  }

  #at(index: number): number | undefined {
    const found = this.#keyspace.call('LINDEX', this.#keys[0], index);
    return found === null ? undefined : Number(String(found));
  }
}
