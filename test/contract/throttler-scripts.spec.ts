/**
 * The throttler's step: Lua on every topology, its twin, and a model of how `@nestjs/throttler` 6.7 counts in memory,
 * over the same random hits. The moment of each hit is drawn too, so that windows and blocks of minutes pass at once.
 */
import assert from 'node:assert/strict';
import { afterAll, describe, it } from 'vitest';
import { hitScript, type Hit, type HitArgs } from '@anbar/nestjs-redis/compat';
import {
  createClient,
  defineScript,
  replyItems,
  resolveConnection,
  type RedisClient,
  type ScriptKeyspace,
} from '@anbar/nestjs-redis/connection';
import { createRandom, type Random } from '@anbar/nestjs-redis/testing';
import { openPlaces, openRedis } from './places.js';

const STEPS = Number(process.env['THROTTLER_STEPS'] ?? 150);
const PATIENT = { timeout: '5s' } as const;

type Timed = HitArgs & { readonly now: number };

/** The script, told what time it is. Drawn time is not the server's, so nothing may run out by the server's clock. */
const timedHit = defineScript({
  ...hitScript,
  lua: hitScript.lua
    .replace(/local time = [^]*?\n.*\n/u, 'local now = tonumber(ARGV[4])\n')
    .replace(", 'PX', format(gone))", ')')
    .replace(/if last then redis.call\('PEXPIRE'.*/u, ''),
  args: (args: Timed) => [...hitScript.args(args), args.now],
  decode: (reply) => replyItems(reply).map(Number),
  twin: (keyspace, keys: readonly [string, string], args: Timed) => {
    const unending: ScriptKeyspace = {
      timeMicros: () => args.now * 1_000,
      call: (name, ...rest) => {
        if (name === 'PEXPIRE') return 1;
        return keyspace.call(name, ...(name === 'SET' ? rest.slice(0, 2) : rest));
      },
    };
    return hitScript.twin(unending, keys, args);
  },
});

/** How the memory storage counts, for one key. */
class Model {
  #hits: number[] = [];
  #ends = 0;
  #blockedUntil: number | undefined;

  hit({ now, ttlMs, limit, blockMs }: Timed): Hit {
    this.#hits = this.#hits.filter((end) => end > now);
    if (this.#ends <= now) this.#ends = now + ttlMs;
    const expireMs = this.#ends - now;
    if (blockMs === 0) return this.#within({ now, ttlMs, limit, blockMs }, expireMs);
    if (this.#blockedUntil !== undefined && this.#blockedUntil <= now) {
      this.#blockedUntil = undefined;
      this.#hits = [];
    }
    if (this.#blockedUntil === undefined) {
      this.#hits.push(now + ttlMs);
      if (this.#hits.length > limit) this.#blockedUntil = now + blockMs;
    }
    const left = this.#blockedUntil === undefined ? 0 : this.#blockedUntil - now;
    return { totalHits: this.#hits.length, expireMs, blocked: left > 0, blockMs: left };
  }

  #within({ now, ttlMs, limit }: Timed, expireMs: number): Hit {
    this.#blockedUntil = undefined;
    if (this.#hits.length >= limit) {
      const [first] = this.#hits;
      const blockMs = first === undefined ? expireMs : first - now;
      return { totalHits: this.#hits.length + 1, expireMs, blocked: true, blockMs };
    }
    this.#hits.push(now + ttlMs);
    return { totalHits: this.#hits.length, expireMs, blocked: false, blockMs: 0 };
  }
}

/** A throttler as an application has it: its terms stay, requests come in bursts and pauses. */
function termsOf(random: Random): HitArgs {
  const ttlMs = random.oneOf([1, 10, 1_000, 60_000]);
  const blockMs = random.oneOf([0, 0, ttlMs, 5, 30_000, 600_000]);
  return { ttlMs, limit: random.oneOf([0, 1, 2, 3, 10]), blockMs };
}

async function compare(client: RedisClient, prefix: string, seed: number): Promise<void> {
  const random = createRandom(seed);
  const twin = createClient(resolveConnection('twin', { topology: 'embedded' }, []));
  let now = Date.now();
  for (let round = 0; round < 5; round += 1) {
    const keys = [`${prefix}hits:{${seed}:${round}}`, `${prefix}state:{${seed}:${round}}`] as const;
    const terms = termsOf(random);
    const model = new Model();
    for (let step = 0; step < STEPS / 5; step += 1) {
      now += random.oneOf([0, 0, 1, 4, 9, 100, 999, 20_000, 61_000]);
      const args = { ...terms, now };
      const where = `seed ${seed}, round ${round}, step ${step}: ${JSON.stringify(args)}`;
      const { totalHits, expireMs, blocked, blockMs } = model.hit(args);
      const expected = [totalHits, expireMs, blocked ? 1 : 0, blockMs];
      assert.deepEqual(await twin.run(timedHit, keys, args), expected, `the twin, ${where}`);
      assert.deepEqual(await client.run(timedHit, keys, args, PATIENT), expected, `Lua, ${where}`);
      assert.deepEqual(await remains(twin, keys), await remains(client, keys), `what is left, ${where}`);
    }
    await client.command('UNLINK', [...keys], PATIENT);
  }
  await twin.disconnect();
}

async function remains(client: RedisClient, [hits, state]: readonly [string, string]): Promise<unknown> {
  return [
    await client.command('LRANGE', [hits, 0, -1], PATIENT),
    await client.command('GET', [state], PATIENT),
  ];
}

const places = openPlaces();
afterAll(async () => {
  await Promise.all(places.map((place) => place.stop()));
});

describe.each(places)('on $name', (place) => {
  const seed = Number(process.env['THROTTLER_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

  it(`Lua, twin and model agree (seed ${seed})`, { timeout: 60_000 }, async () => {
    const redis = await openRedis(place);
    await redis.connect();
    try {
      await compare(redis.adapter.port, `${place.prefix}throttler:`, seed);
    } finally {
      await redis.disconnect();
    }
  });

  it('leaves nothing without an expiry, and by the server clock the whole of it is gone in time', async () => {
    const redis = await openRedis(place);
    await redis.connect();
    const client = redis.adapter.port;
    const keys = [`${place.prefix}throttler:{e}:hits`, `${place.prefix}throttler:{e}:state`] as const;
    try {
      for (let i = 0; i < 3; i += 1) {
        await client.run(hitScript, keys, { ttlMs: 60_000, limit: 1, blockMs: 600_000 }, PATIENT);
      }
      const [hits, state] = await Promise.all(
        keys.map((key) => client.command<number>('PTTL', [key], PATIENT)),
      );
      assert.ok(Number(hits) > 590_000 && Number(hits) <= 600_000, `hits: ${hits}`);
      assert.ok(Number(state) > 590_000 && Number(state) <= 600_000, `state: ${state}`);
    } finally {
      await client.command('UNLINK', [...keys], PATIENT);
      await redis.disconnect();
    }
  });
});
