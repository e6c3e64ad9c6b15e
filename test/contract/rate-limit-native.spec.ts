/**
 * The fixed window by `INCREX`. No server of the tests has that command, so a stand-in offers it over the embedded
 * keyspace, as the documentation of Redis 8.8 describes it: syntax, replies and what happens at the bound. The
 * contract of the limiter runs over it, and then both ways beside each other on the same random calls.
 */
import assert from 'node:assert/strict';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { RateLimiter, type Limit } from '@anbar/nestjs-redis';
import {
  createClient,
  defineScript,
  RedisReplyError,
  resolveConnection,
  type PipelineResult,
  type RedisClient,
  type Reply,
} from '@anbar/nestjs-redis/connection';
import {
  createRandom,
  FakeClock,
  rateLimiterContract,
  runContract,
  type RateLimitSubject,
} from '@anbar/nestjs-redis/testing';

/** `[key, 'BYINT', n, 'UBOUND', n, 'PX', n, 'ENX']`, and nothing else: what is sent otherwise is an error, as there. */
const increx = defineScript({
  name: 'stand-in.increx',
  lua: `return redis.error_reply('for the embedded keyspace only')`,
  args: ({ by, bound, px }: { by: number; bound: number; px: number }) => [by, bound, px],
  decode: (reply) => reply,
  twin: (keyspace, [key]: readonly [string], { by, bound, px }) => {
    const held = keyspace.call('GET', key);
    const text = Buffer.isBuffer(held) ? held.toString() : '0';
    if (!/^-?\d{1,18}$/u.test(text)) throw new RedisReplyError('ERR value is not an integer or out of range');
    const count = Number(text);
    if (count + by > bound) return [count, 0];
    keyspace.call('INCRBY', key, by);
    if (Number(keyspace.call('PTTL', key)) === -1) keyspace.call('PEXPIRE', key, px);
    return [count + by, by];
  },
});

/** What a server may be: with the command, without it, with it but not for us, or one that forgets it later. */
type Offer = 'there' | 'absent' | 'forbidden' | 'promised';

function withIncrex(inner: RedisClient, offer: Offer = 'there') {
  const used = { increx: 0, info: 0 };
  const command = async (name: string, args: readonly unknown[], options?: object): Promise<Reply> => {
    if (name === 'COMMAND') {
      used.info += 1;
      assert.deepEqual(args, ['INFO', 'INCREX']);
      if (offer === 'forbidden') throw new RedisReplyError('NOPERM this user has no permissions to run it');
      return offer === 'absent' ? [null] : [['increx', -2, ['write', 'denyoom', 'fast'], 1, 1, 1]];
    }
    if (name !== 'INCREX') return inner.command(name, args as string[], options);
    used.increx += 1;
    if (offer === 'promised') throw new RedisReplyError("ERR unknown command 'INCREX'");
    const [key, byInt, by, uBound, bound, pX, px, enx] = args;
    assert.deepEqual([byInt, uBound, pX, enx, args.length], ['BYINT', 'UBOUND', 'PX', 'ENX', 8]);
    return inner.run(
      increx,
      [String(key)],
      { by: Number(by), bound: Number(bound), px: Number(px) },
      options,
    );
  };
  const pipeline = (commands: readonly { name: string; args: readonly unknown[] }[], options?: object) =>
    Promise.all(
      commands.map(({ name, args }) =>
        command(name, args, options).then(
          (value): PipelineResult => ({ ok: true, value }),
          (error: Error): PipelineResult => ({ ok: false, error }),
        ),
      ),
    );
  const client = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'topology') return 'standalone';
      if (name === 'command') return command;
      if (name === 'pipeline') return pipeline;
      const found: unknown = Reflect.get(target, name);
      return typeof found === 'function' ? (found.bind(target) as unknown) : found;
    },
  });
  return { client, used };
}

const embedded = (clock?: FakeClock): RedisClient =>
  createClient(
    resolveConnection('stand-in', { topology: 'embedded' }, []),
    clock === undefined ? {} : { clock },
  );

const WINDOW: Limit = { name: 'w', limit: 5, window: '10s', algorithm: 'fixed-window' };

const inner = embedded();
const contract = withIncrex(inner);
afterAll(() => inner.disconnect());

runContract(
  rateLimiterContract,
  {
    name: 'INCREX (stand-in)',
    prefix: '',
    create: async (): Promise<RateLimitSubject> => {
      const limiter = new RateLimiter({ client: contract.client, namespace: 'app' });
      // What there is, is asked for with the first question; it is known from the second on.
      await limiter.consume('first', WINDOW);
      return { limiter, client: inner, namespace: 'app' };
    },
    dispose: ({ limiter }: RateLimitSubject) => limiter.close(),
    flushScripts: () => Promise.resolve(),
  },
  { describe, it, after: afterAll },
);

describe('INCREX', () => {
  it('was what the contract ran over', () => {
    expect(contract.used.increx).toBeGreaterThan(100);
  });

  it('says what the script says, over jumps of time', async () => {
    const seed = Number(process.env['RATE_LIMIT_SEED'] ?? 20_261_121);
    const random = createRandom(seed);
    const clock = new FakeClock();
    const both = [embedded(clock), embedded(clock)] as const;
    onTestFinished(async () => void (await Promise.all(both.map((each) => each.disconnect()))));
    const native = withIncrex(both[0]);
    const limiters = [native.client, both[1]].map(
      (client) => new RateLimiter({ client, namespace: 'app', clock }, { denials: false }),
    );
    const known = limiters[0]?.consume('first', WINDOW);
    // What is gathered leaves when turns of the clock have passed.
    for (let i = 0; i < 4; i += 1) await clock.advanceAsync(0);
    await known;
    await both[0].command('DEL', ['app:v1:limit:f:{first}:w']);
    for (let step = 0; step < 2_000; step += 1) {
      const subject = `s${random.integer(0, 3)}`;
      const cost = random.oneOf([0, 1, 1, 2, 5, 6]);
      const key = `app:v1:limit:f:{${subject}}:w`;
      const [name, ...args] = random.oneOf<readonly [string?, ...string[]]>([
        [],
        [],
        [],
        [],
        [],
        ['SET', key, 'x'],
        ['RPUSH', key, 'x'],
      ]);
      if (name !== undefined) {
        await Promise.all(both.map((each) => each.command(name, args).catch(() => undefined)));
      }
      const asking = limiters.map((limiter) => limiter.consume(subject, WINDOW, { cost }));
      for (let i = 0; i < 4; i += 1) await clock.advanceAsync(0);
      const [first, second] = await Promise.all(asking);
      assert.deepEqual(first?.limits, second?.limits, `seed ${seed}, step ${step}, cost ${cost}`);
      const left = await Promise.all(both.map((each) => each.command('PTTL', [key])));
      assert.equal(left[0], left[1], `seed ${seed}, step ${step}: another expiry`);
      clock.advance(random.oneOf([0, 1, 700, 3_000, 11_000]));
    }
    expect(native.used.increx).toBeGreaterThan(500);
    expect(native.used.info).toBe(1);
  });

  it('that meets a counter without an expiry gives it one, or leaves it to the script when it is full', async () => {
    const client = embedded();
    onTestFinished(() => client.disconnect());
    const limiter = new RateLimiter(
      { client: withIncrex(client).client, namespace: 'app' },
      { denials: false },
    );
    onTestFinished(() => limiter.close());
    await limiter.consume('first', WINDOW);
    const key = 'app:v1:limit:f:{s}:w';
    for (const [count, remaining] of [
      [3, 1],
      [5, 4],
      [99, 4],
    ] as const) {
      await client.command('SET', [key, count]);
      const { allowed, limits } = await limiter.consume('s', WINDOW);
      expect([allowed, limits[0]?.remaining]).toEqual([true, remaining]);
      expect(await client.command('PTTL', [key])).toBeGreaterThan(9_000);
    }
  });

  it.each<{ offer: Offer; asked: number }>([
    { offer: 'absent', asked: 0 },
    { offer: 'forbidden', asked: 0 },
    { offer: 'promised', asked: 1 },
  ])('that is $offer: the script counts, and nobody is asked again', async ({ offer, asked }) => {
    const client = embedded();
    onTestFinished(() => client.disconnect());
    const without = withIncrex(client, offer);
    const limiter = new RateLimiter({ client: without.client, namespace: 'app' });
    onTestFinished(() => limiter.close());
    const allowed: boolean[] = [];
    for (let i = 0; i < 8; i += 1) allowed.push((await limiter.consume('s', WINDOW)).allowed);
    expect(allowed).toEqual([true, true, true, true, true, false, false, false]);
    expect(without.used).toEqual({ increx: asked, info: 1 });
  });
});
