/** `connectRedis`: sessions that connect-redis has stored go on, and one that has ended stays ended. */
import expressSession, { type Store } from 'express-session';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { connectRedis } from '@anbar/nestjs-redis/compat';
import { shared, startStandalone } from '../topology/index.js';

let number = 0;

function open(options: RedisModuleOptions) {
  const redis = createRedis({ timeout: '5s', ...options }, {});
  onTestFinished(() => redis.disconnect());
  number += 1;
  const name = `compat-${process.pid}-${number}`;
  const RedisStore = connectRedis(expressSession);
  const store: Store = new RedisStore({ client: redis.adapter, prefix: `${name}:sess:`, namespace: name });
  return { adapter: redis.adapter, store, old: (id: string) => `${name}:sess:${id}` };
}

/** As connect-redis writes it. */
const OLD = JSON.stringify({
  cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' },
  user: 'ada',
});

function get(store: Store, id: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    store.get(id, (error: unknown, session) => {
      if (error instanceof Error) reject(error);
      else resolve(session ?? undefined);
    });
  });
}

function destroy(store: Store, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    store.destroy(id, (error: unknown) => (error instanceof Error ? reject(error) : resolve()));
  });
}

describe.each(['embedded', 'standalone'] as const)('on %s', (place) => {
  const target = async (): Promise<RedisModuleOptions> =>
    place === 'embedded' ? { topology: 'embedded' } : { url: (await shared('standalone')).url };

  it('takes a session of before over, once, and it is an express-session store', async () => {
    const { store, adapter, old } = open(await target());
    expect(store).toBeInstanceOf(expressSession.Store);
    await adapter.command('SET', [old('abc'), OLD, 'EX', 60]);
    expect(await get(store, 'abc')).toMatchObject({ user: 'ada' });
    expect(await adapter.exists(old('abc'))).toBe(false);
    expect(await get(store, 'abc')).toMatchObject({ user: 'ada' });
    expect(await get(store, 'unknown')).toBeUndefined();
  });

  it('a session of before that was destroyed stays destroyed', async () => {
    const { store, adapter, old } = open(await target());
    await adapter.command('SET', [old('abc'), OLD, 'EX', 60]);
    await destroy(store, 'abc');
    expect(await get(store, 'abc')).toBeUndefined();
    // Another server, which still runs the old store, may write it once more.
    await adapter.command('SET', [old('abc'), 'no json', 'EX', 60]);
    expect(await get(store, 'abc')).toBeUndefined();
  });
});

it('says so when Redis is away, instead of taking a visitor for a stranger', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const { store } = open({ url: server.url, timeout: '250ms' });
  await server.process.kill();
  await expect(get(store, 'abc')).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' });
});
