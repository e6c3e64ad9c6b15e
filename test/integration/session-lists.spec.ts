/** What is said of the sessions of a user: of all of them, however many, and when each ends. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { shared } from '../topology/index.js';

/** More than may be asked for at once on one connection. */
const MANY = 1_200;
const AT_ONCE = 100;

let tried = 0;

async function open(options: Pick<RedisModuleOptions, 'session'> = {}): Promise<Redis> {
  const { url } = await shared('standalone');
  const redis = createRedis({ url, namespace: `lists.${process.pid}.${(tried += 1)}`, ...options }, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

describe('a user with more sessions than a connection takes questions at once', () => {
  it('has a list of all, and all of them end with it', async () => {
    const { sessions, adapter, config } = await open();
    for (let made = 0; made < MANY; made += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => sessions.create({ user: 'robot' })));
    }
    const listed = await sessions.listByUser('robot');
    expect(new Set(listed.map(({ handle }) => handle)).size).toBe(MANY);
    expect(await sessions.destroyAllOfUser('robot')).toBe(MANY);
    let left = 0;
    for await (const keys of adapter.port.scan({ match: `${config.namespace}:*` })) left += keys.length;
    expect(left).toBe(0);
  }, 60_000);
});

describe('a session that ends for good before it would be idle', () => {
  const session = { idle: '1h', absolute: '1h' } as const;
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('tells its end when it is saved and when it gets another id', async () => {
    const { sessions } = await open({ session });
    const made = await sessions.create({ user: 'reader' });
    await pause(1_000);
    made.data['page'] = 1;
    const saved = await sessions.save(made);
    expect(Math.abs(saved.expiresAt - made.expiresAt)).toBeLessThan(300);
    const rotated = await sessions.rotate(saved);
    expect(Math.abs(rotated.expiresAt - made.expiresAt)).toBeLessThan(300);
  });

  it('tells after a change of its id that it may be idle for the whole time again', async () => {
    const { sessions } = await open({ session: { idle: '1h' } });
    const made = await sessions.create({ user: 'reader' });
    await pause(1_000);
    const rotated = await sessions.rotate(made);
    expect(rotated.expiresAt - made.expiresAt).toBeGreaterThan(800);
  });
});
