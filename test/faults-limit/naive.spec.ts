/**
 * Three limiters as they are written every day, beside ours, before the same three judges: a process that dies
 * between two commands, a polite client, and many clients in one moment.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { RateLimiter, type Limit } from '@anbar/nestjs-redis';
import { createClient, resolveConnection, type RedisClient } from '@anbar/nestjs-redis/connection';
import { createRandom, FakeClock } from '@anbar/nestjs-redis/testing';

const LIMIT = 10;
const WINDOW_S = 60;

type Hit = (subject: string) => Promise<boolean>;

/** A client whose process dies now and then: the call that is to come next never leaves. */
interface Place {
  readonly client: RedisClient;
  readonly clock: FakeClock;
  die: () => boolean;
}

class Died extends Error {}

/** The document's first: the expiry in a second step. */
const incrThenExpire =
  (at: Place): Hit =>
  async (subject) => {
    const count = Number(await at.client.command('INCR', [subject]));
    if (at.die()) throw new Died();
    if (count === 1) await at.client.command('EXPIRE', [subject, WINDOW_S]);
    return count <= LIMIT;
  };

/** The document's second: the expiry with every hit. */
const expireEachTime =
  (at: Place): Hit =>
  async (subject) => {
    const count = Number(await at.client.command('INCR', [subject]));
    if (at.die()) throw new Died();
    await at.client.command('EXPIRE', [subject, WINDOW_S]);
    return count <= LIMIT;
  };

/** The third: look, then count. */
const lookThenCount =
  (at: Place): Hit =>
  async (subject) => {
    const count = Number((await at.client.command('GET', [subject])) ?? 0);
    if (count >= LIMIT) return false;
    if (at.die()) throw new Died();
    if (Number(await at.client.command('INCR', [subject])) === 1)
      await at.client.command('EXPIRE', [subject, WINDOW_S, 'NX']);
    return true;
  };

const ours =
  (algorithm: Limit['algorithm']) =>
  (at: Place): Hit => {
    const limiter = new RateLimiter(
      { client: at.client, namespace: 'app', clock: at.clock },
      { denials: false },
    );
    const limit: Limit = { limit: LIMIT, window: WINDOW_S, algorithm };
    return async (subject) => {
      const { allowed } = await limiter.consume(subject, limit);
      if (at.die()) throw new Died();
      return allowed;
    };
  };

function place(): Place {
  const clock = new FakeClock();
  const client = createClient(resolveConnection('naive', { topology: 'embedded' }, []), { clock });
  onTestFinished(() => client.disconnect());
  return { client, clock, die: () => false };
}

/** After many deaths, and after the window: is there a key for ever, is somebody locked out? */
async function survivesDeaths(make: (at: Place) => Hit): Promise<boolean> {
  const at = place();
  const random = createRandom(4711);
  at.die = () => random.integer(0, 3) === 0;
  const hit = make(at);
  for (let i = 0; i < 300; i += 1) {
    await hit(`s${random.integer(0, 20)}`).catch((error: unknown) => {
      if (!(error instanceof Died)) throw error;
    });
    at.clock.advance(random.integer(0, 2_000));
  }
  for await (const keys of at.client.scan()) {
    for (const key of keys) if ((await at.client.command('PTTL', [key])) === -1) return false;
  }
  at.clock.advance(2 * WINDOW_S * 1_000);
  at.die = () => false;
  for (let i = 0; i <= 20; i += 1) if (!(await hit(`s${i}`))) return false;
  return true;
}

/** Half of what it may, evenly, for ten windows: is it ever denied? */
async function sparesThePolite(make: (at: Place) => Hit): Promise<boolean> {
  const at = place();
  const hit = make(at);
  for (let i = 0; i < 10 * (LIMIT / 2); i += 1) {
    if (!(await hit('polite'))) return false;
    at.clock.advance((WINDOW_S * 1_000) / (LIMIT / 2));
  }
  return true;
}

/** A hundred in one moment: do more than the limit get through? */
async function holdsInTheCrowd(make: (at: Place) => Hit): Promise<boolean> {
  const hit = make(place());
  const hits = await Promise.all(Array.from({ length: 100 }, () => hit('crowd')));
  return hits.filter(Boolean).length === LIMIT;
}

const verdict = async (make: (at: Place) => Hit) => ({
  deaths: await survivesDeaths(make),
  polite: await sparesThePolite(make),
  crowd: await holdsInTheCrowd(make),
});

describe('the same three judges', () => {
  it.each(['gcra', 'sliding-window', 'fixed-window'] as const)('%s passes', async (algorithm) => {
    expect(await verdict(ours(algorithm))).toEqual({ deaths: true, polite: true, crowd: true });
  });

  it('INCR and then EXPIRE leaves counters that never end', async () => {
    expect(await verdict(incrThenExpire)).toEqual({ deaths: false, polite: true, crowd: true });
  });

  it('EXPIRE with every hit never resets under traffic', async () => {
    expect(await verdict(expireEachTime)).toMatchObject({ polite: false });
  });

  it('looking before counting lets everybody through at once', async () => {
    expect(await verdict(lookThenCount)).toMatchObject({ deaths: true, crowd: false });
  });
});
