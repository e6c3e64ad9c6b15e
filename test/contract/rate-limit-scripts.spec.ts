/**
 * The scripts of the limiter: Lua on every topology against the twin, over random inputs. The answers hold moments
 * and the keys hold moments, so the twin's clock is set, for each step, to the very microsecond at which the server
 * says that it ran the script. Then everything has to agree to the microsecond.
 */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { afterAll, describe, it } from 'vitest';
import {
  createClient,
  defineScript,
  replyItems,
  resolveConnection,
  type PipelineCommand,
  type RedisClient,
  type Reply,
  type Script,
} from '@anbar/nestjs-redis/connection';
import {
  gcraScript,
  isPlain,
  refundScript,
  releasePlacesScript,
  renewPlacesScript,
  resolveLimit,
  takeScript,
  type Limit,
  type TakeItem,
} from '@anbar/nestjs-redis/rate-limit';
import { createRandom, FakeClock, type Random } from '@anbar/nestjs-redis/testing';
import { openPlaces, openRedis } from './places.js';

const STEPS = Number(process.env['RATE_LIMIT_STEPS'] ?? 100);
const PATIENT = { timeout: '5s' } as const;
/**
 * What is counted by a server's own expiries is exact to the millisecond only, and begins when its script does, which
 * on a machine with other things to do is a while after ours. It concerns expiries of ten minutes and more.
 */
const EXPIRY_SLACK_MICROS = 2_000_000;

/** The plain reply, whatever the script makes of it; the moment of the server stands in front. */
function raw<Keys extends readonly string[], Args>(script: Script<Keys, Args, unknown>) {
  return defineScript<Keys, Args, readonly number[]>({
    ...script,
    lua: stamped(script.lua),
    decode: (reply) => replyItems(reply).flatMap(numbersOf),
    twin: (keyspace, keys, args) => [keyspace.timeMicros(), script.twin(keyspace, keys, args)],
  });
}

function numbersOf(reply: Reply): readonly number[] {
  return Array.isArray(reply) ? (reply as readonly Reply[]).map(Number) : [Number(reply)];
}

/** The script as it is, with the moment it saw beside its answer: it asks for the time once, through `TIME`. */
function stamped(lua: string): string {
  return `
local seen
local redis = setmetatable({
  call = function(name, ...)
    local reply = redis.call(name, ...)
    if name == 'TIME' then seen = tonumber(reply[1]) * 1000000 + tonumber(reply[2]) end
    return reply
  end
}, {__index = redis})
local function run()
${lua}
end
local answer = run()
if not seen then redis.call('TIME') end
return {seen, answer}`;
}

const take = raw(takeScript);
const plain = raw(gcraScript);
const refund = raw(refundScript);
const renew = raw(renewPlacesScript);
const release = raw(releasePlacesScript);

/** Those that are counted in exact moments are short, so that they refill within a run. */
function anyLimit(random: Random): Limit {
  const limit = random.oneOf([0, 1, 2, 3, 7, 10, 1_000]);
  const shared = {
    limit,
    shadow: random.integer(0, 5) === 0,
    ...(random.integer(0, 5) === 0 ? { penalty: '10m' as const } : {}),
  };
  return random.oneOf<Limit>([
    {
      ...shared,
      algorithm: 'gcra',
      window: random.oneOf(['7ms', '30ms', '1s', '1d']),
      burst: random.integer(0, 7),
    },
    { ...shared, algorithm: 'gcra', window: random.oneOf(['7ms', '30ms', '1s']) },
    { ...shared, algorithm: 'sliding-window', window: random.oneOf(['3ms', '20ms', '100ms', '1d']) },
    { ...shared, algorithm: 'fixed-window', window: random.oneOf(['10m', '2h']) },
    { ...shared, algorithm: 'concurrency', hold: random.oneOf(['300ms', '10m']) },
  ]);
}

interface Drawn {
  readonly keys: string[];
  readonly items: TakeItem[];
}

function draw(random: Random, prefix: string): Drawn {
  const keys: string[] = [];
  const items: TakeItem[] = [];
  for (const size of random.listOf([1, 4], () => random.integer(1, 3))) {
    for (const [i, place] of ['x', 'y', 'z'].slice(0, size).entries()) {
      const terms = resolveLimit(anyLimit(random));
      const key = `${prefix}{subject}:${terms.code}:${place}`;
      keys.push(key, ...(terms.penaltyMs > 0 ? [`${key}:mark`] : []));
      items.push({
        terms,
        cost: random.oneOf([0, 1, 1, 1, 2, 5, 11, 1_000_000_000]),
        want: terms.code === 'g' ? random.oneOf([0, 0, 0, 3]) : 0,
        holder: `holder-${random.integer(0, 5)}`,
        last: i === size - 1,
      });
    }
  }
  return { keys, items };
}

/** What others may have done to a key before the script meets it. */
function meanwhile(random: Random, keys: readonly string[]): readonly PipelineCommand[] {
  const key = keys[random.integer(0, keys.length - 1)] ?? '';
  const set = (value: string) => [{ name: 'SET', args: [key, value, 'PX', 600_000] }];
  return random.oneOf<readonly PipelineCommand[]>([
    [],
    [],
    [],
    [],
    [],
    [{ name: 'DEL', args: [key] }],
    set('abc'),
    set('1 2'),
    set('1 2 3'),
    set('5'),
    set(''),
    set('99999999999999999999'),
    [{ name: 'PERSIST', args: [key] }],
    [
      { name: 'DEL', args: [key] },
      { name: 'RPUSH', args: [key, 'x'] },
    ],
  ]);
}

/** Both sides, and the clock of the embedded one. */
class Pair {
  readonly #clock = new FakeClock({ wallMs: Date.now() - 1_000 });
  readonly #offset = this.#clock.wallNow() - this.#clock.now();
  readonly twin = createClient(resolveConnection('twin', { topology: 'embedded' }, []), {
    clock: this.#clock,
  });
  readonly server: RedisClient;

  constructor(server: RedisClient) {
    this.server = server;
  }

  async step<Keys extends readonly string[], Args>(
    script: Script<Keys, Args, readonly number[]>,
    { keys, args, before }: { keys: Keys; args: Args; before: readonly PipelineCommand[] },
    where: string,
  ): Promise<void> {
    this.#moveTo(Date.now() * 1_000);
    await this.server.pipeline(before, PATIENT);
    await this.twin.pipeline(before, PATIENT);
    const [now = 0, ...real] = await this.server.run(script, keys, args, PATIENT);
    this.#moveTo(now);
    const [seen, ...own] = await this.twin.run(script, keys, args, PATIENT);
    assert.equal(seen, now, `the clock of the twin was not set right, ${where}`);
    assertClose(own, real, `the twin answers otherwise, ${where}`);
    const [theirs, ours] = [await leftovers(this.server, keys), await leftovers(this.twin, keys)];
    for (const [i, left] of theirs.entries()) {
      const here = ours[i];
      // Time goes on at the server while it is asked.
      const gone = left.expiry === -2 && here !== undefined && here.expiry <= Date.now();
      if (gone || (left.expiry > 0 && left.expiry <= Date.now())) continue;
      assert.deepEqual(here?.values, left.values, `the twin leaves something else behind, ${where}`);
      assertClose([here.expiry * 1_000], [left.expiry * 1_000], `the twin leaves another expiry, ${where}`);
    }
  }

  /** A little after the beginning of the microsecond, which a double can just tell. */
  #moveTo(micros: number): void {
    const ahead = micros / 1_000 + 0.0003 - (this.#clock.now() + this.#offset);
    if (ahead > 0) this.#clock.advance(ahead);
  }
}

/** Moments are exact; what comes from an expiry that a server set on its own is close. */
function assertClose(own: readonly number[], real: readonly number[], what: string): void {
  assert.equal(own.length, real.length, what);
  for (const [i, value] of real.entries()) {
    const other = own[i] ?? Number.NaN;
    if (value === other) continue;
    const long = Math.min(value, other) > 200_000_000;
    assert.ok(
      long && Math.abs(value - other) <= EXPIRY_SLACK_MICROS,
      `${what}: ${other}, Lua ${value}, at ${i}`,
    );
  }
}

interface Leftover {
  readonly values: readonly unknown[];
  /** Milliseconds since 1970; negative as `PEXPIRETIME` has it. */
  readonly expiry: number;
}

function leftovers(client: RedisClient, keys: readonly string[]): Promise<readonly Leftover[]> {
  return Promise.all(
    keys.map(async (key) => {
      const [expiry, ...values] = await client.pipeline(
        [
          { name: 'PEXPIRETIME', args: [key] },
          { name: 'TYPE', args: [key] },
          { name: 'GET', args: [key] },
          { name: 'LRANGE', args: [key, 0, -1] },
          { name: 'ZRANGE', args: [key, 0, -1, 'WITHSCORES'] },
        ],
        PATIENT,
      );
      return {
        values: values.map((each) => (each.ok ? each.value : 'refused')),
        expiry: expiry?.ok === true ? Number(expiry.value) : Number.NaN,
      };
    }),
  );
}

async function compare(server: RedisClient, prefix: string, seed: number): Promise<void> {
  const random = createRandom(seed);
  const pair = new Pair(server);
  for (let step = 0; step < STEPS; step += 1) {
    const { keys, items } = draw(random, prefix);
    const before = meanwhile(random, keys);
    const where = `seed ${seed}, step ${step}: ${told(items)} after ${inspect(before, { depth: 4 })}`;
    const mode = random.oneOf(['consume', 'consume', 'consume', 'peek'] as const);
    await pair.step(take, { keys, args: { mode, items }, before }, where);
    await comparePlain(pair, { keys, items }, where);
    const counted = items.filter(({ terms }) => terms.code !== 'c' && terms.penaltyMs === 0);
    const places = keys.filter((key) => key.includes(':c:') && !key.endsWith(':mark'));
    if (random.integer(0, 3) === 0 && counted.length > 0) {
      const its = [...new Set(counted.map(({ terms }) => terms))].map((terms) => ({
        terms,
        cost: random.oneOf([0, 1, 2, 50]),
      }));
      const names = its.map(
        ({ terms }) => `${prefix}{subject}:${terms.code}:${random.oneOf(['x', 'y', 'z'])}`,
      );
      await pair.step(refund, { keys: names, args: { items: its }, before: [] }, `refund, ${where}`);
    }
    const [place] = places;
    if (place !== undefined) {
      const holders = random.listOf([1, 3], () => `holder-${random.integer(0, 5)}`);
      const foreign = { name: 'DEL', args: [place] };
      const isList = random.integer(0, 5) === 0 ? [foreign] : [];
      const args = { holders, holdMs: random.oneOf([300, 600_000]) };
      await pair.step(renew, { keys: [place], args, before: isList }, `renew, ${where}`).catch(wrongType);
      await pair.step(release, { keys: [place], args, before: [] }, `release, ${where}`).catch(wrongType);
    }
  }
  await pair.twin.disconnect();
}

/** The short way, on whatever of the draw can go it. */
async function comparePlain(pair: Pair, { keys, items }: Drawn, where: string): Promise<void> {
  const its = items.flatMap((item, i) => {
    const at = items.slice(0, i).reduce((sum, { terms }) => sum + (terms.penaltyMs > 0 ? 2 : 1), 0);
    return isPlain(item) ? [{ item: { ...item, last: i % 2 === 0 }, key: keys[at] ?? '' }] : [];
  });
  const last = its.at(-1);
  if (last === undefined) return;
  last.item.last = true;
  const chosen = { keys: its.map(({ key }) => key), items: its.map(({ item }) => item) };
  await pair.step(plain, { keys: chosen.keys, args: chosen, before: [] }, `plain, ${where}`);
}

function told(items: readonly TakeItem[]): string {
  return items
    .map(({ terms, cost, want, last }) => `${terms.print} cost ${cost} want ${want}${last ? ';' : ','}`)
    .join(' ');
}

/** A list stands where the places should: both sides say so, and the next `take` replaces it. */
function wrongType(error: unknown): void {
  if (!(error instanceof Error) || !error.message.includes('WRONGTYPE')) throw error;
}

describe('scripts of the limiter', () => {
  const places = openPlaces().filter(({ name }) => name !== 'embedded');
  const seed = Number(process.env['RATE_LIMIT_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  afterAll(async () => {
    await Promise.all(places.map((place) => place.stop()));
  });

  it.each(places)(
    `$name: Lua and twin agree to the microsecond (${STEPS} random steps, seed ${seed})`,
    async (place) => {
      const redis = await openRedis(place);
      await redis.connect();
      try {
        await compare(
          redis.adapter.port,
          `${place.prefix === '' ? 'app:' : place.prefix}limits:${seed}:`,
          seed,
        );
      } finally {
        await redis.disconnect();
      }
    },
    600_000,
  );
});
