/** Logins and certificates: what gets in, what does not, and that nothing is said of passwords. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  shared,
  startStandalone,
  until,
  type CertificateFault,
  type Standalone,
  type StandaloneOptions,
} from '../topology/index.js';

/** The rules that SECURITY.md gives to users. */
const RECIPE =
  /^```acl\n(?<rules>.+)$/mu.exec(readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8'))
    ?.groups?.['rules'] ?? '';

async function serve(options: StandaloneOptions): Promise<Standalone> {
  const server = await startStandalone(options);
  onTestFinished(() => server.stop());
  return server;
}

function open(options: RedisModuleOptions): Redis {
  const redis = createRedis({ timeout: '2s', connectTimeout: '600ms', ...options }, {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

/** What `connect()` is refused with, as all that would be seen in a log. */
async function refusal(redis: Redis): Promise<string> {
  const error: unknown = await redis.connect().then(
    () => new Error('it connected'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'CONNECT_FAILED' });
  return inspect(error) + JSON.stringify(error) + JSON.stringify(redis.adapter.status());
}

describe('a password', () => {
  it('may rotate: the present one is asked for at every connection', async () => {
    const server = await serve({ password: 'first-password' });
    let current = 'first-password';
    let asked = 0;
    const { adapter } = open({
      host: server.host,
      port: server.port,
      password: () => {
        asked += 1;
        return Promise.resolve(current);
      },
    });
    await adapter.set('k', 1);
    expect(asked).toBe(1);
    await server.process.admin('CONFIG', 'SET', 'requirepass', 'second-password');
    current = 'second-password';
    await server.process.admin('CLIENT', 'KILL', 'TYPE', 'normal');
    await until(() => adapter.get('k').catch(() => false), { what: 'a login with the new password' });
    expect(asked).toBeGreaterThan(1);
  });

  it('that is wrong is told as such, without saying which it was', async () => {
    const { host, port } = await serve({ password: 'right' });
    const said = await refusal(open({ host, port, password: 'planted-wrong-password' }));
    expect(said).toMatch(/WRONGPASS/u);
    expect(said).not.toMatch(/planted/u);
  });

  it('that is missing is told as such', async () => {
    const { host, port } = await serve({ password: 'right' });
    expect(await refusal(open({ host, port }))).toMatch(/NOAUTH/u);
  });

  it('that can not be fetched is told as such', async () => {
    const { host, port } = await serve({ password: 'right' });
    const password = () => Promise.reject(new Error('the vault is sealed'));
    expect(await refusal(open({ host, port, password }))).toMatch(/the vault is sealed/u);
  });
});

describe('the ACL user of SECURITY.md', () => {
  const user = { user: 'app', password: 'p@ss:word/#1', rules: RECIPE };

  it('may do all this package does, within its prefix', async () => {
    const { url } = await serve({ acl: user });
    const { adapter } = open({ url });
    await adapter.set('app:k', { a: 1 });
    expect(await adapter.getMany(['app:k', 'app:none'])).toEqual([{ a: 1 }, undefined]);
    expect(await adapter.incr('app:n')).toBe(1);
    expect(await adapter.hset('app:h', { a: 1, b: 2 })).toBe(2);
    expect(await adapter.expire('app:h', '1m')).toBe(true);
    expect(await adapter.delete('app:k')).toBe(true);
    const found: string[] = [];
    for await (const keys of adapter.scan({ match: 'app:*' })) found.push(...keys);
    expect(found.toSorted()).toEqual(['app:h', 'app:n']);
    const heard: unknown[] = [];
    const subscription = adapter.subscribe('app:c', (message) => void heard.push(message));
    await subscription.ready;
    await adapter.publish('app:c', 'hello');
    await until(() => heard.length === 1, { what: 'the message' });
    expect(adapter.status()).toMatchObject({ health: 'up', nodes: [{ role: 'primary' }] });
  });

  it('may use every capability', async () => {
    const { url } = await serve({ acl: { ...user, rules: `${RECIPE} &__redis__:invalidate` } });
    const redis = open({ url, namespace: 'app', cache: { l1: {} } });
    await redis.connect();
    const { cache, limiter, locks, sessions, pubsub, tasks } = redis;

    expect(await cache.getOrSet('k', () => 'v', { tags: ['t'] })).toBe('v');
    await cache.invalidateTags('t');
    expect(await cache.get('k')).toBeUndefined();
    expect(await cache.incr('n')).toBe(1);
    await cache.flush();
    expect((await limiter.consume('who', { limit: 1, window: '1m' })).allowed).toBe(true);
    expect((await limiter.consume('who', { limit: 1, window: '1m' })).allowed).toBe(false);
    expect(await locks.run('job', ({ fence }) => Promise.resolve(fence > 0))).toBe(true);
    const session = await sessions.create({ user: 'ada' });
    expect(await sessions.destroyAllOfUser('ada')).toBe(1);
    expect(await sessions.load(session.id)).toBeUndefined();
    const group = { mode: 'group', group: 'g' } as const;
    await pubsub.publish('news', 'hello', group);
    const stream = pubsub.subscribe('news', { ...group, from: 'beginning' });
    expect((await stream.next()).value?.data).toBe('hello');
    await stream.return();
    const worker = tasks.work(new Map([['greet', ({ data }: { data: unknown }) => data]]));
    await worker.ready;
    const { id } = await tasks.add('greet', 'Ada');
    await until(async () => (await tasks.find(id))?.state === 'completed', { what: 'the task' });
    await worker.close();
  });

  it('may do nothing beyond it', async () => {
    const { url } = await serve({ acl: user });
    const { adapter } = open({ url });
    for (const call of [
      () => adapter.set('other', 1),
      () => adapter.get('other'),
      () => adapter.publish('other', 1),
      () => adapter.command('CONFIG', ['GET', '*']),
      () => adapter.command('EVAL', ["return redis.call('GET', 'other')", 0]),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'REDIS_REPLY' });
    }
    expect(await adapter.get('app:k')).toBeUndefined();
  });
});

describe('TLS', () => {
  it('is spoken with a server whose authority is trusted', async () => {
    const { url, tls } = await shared('tls');
    const { adapter } = open({ url, tls: { ca: tls.ca } });
    await adapter.set('tls', 1, '1m');
    expect(await adapter.get('tls')).toBe(1);
    const subscription = adapter.subscribe('tls', () => undefined);
    await subscription.ready;
  });

  it('is not spoken with a server nobody vouches for', async () => {
    const { url } = await shared('tls');
    expect(await refusal(open({ url }))).toMatch(/self-signed|unable to (?:get|verify)/iu);
  });

  it.each<[CertificateFault, RegExp]>([
    ['expired', /expired/iu],
    ['wrong-name', /altname|does not match|not in the cert/iu],
    ['wrong-ca', /unable to (?:get|verify)|self-signed/iu],
    ['self-signed', /self-signed/iu],
  ])('is refused with a certificate that is %s, for calls and for listeners', async (fault, why) => {
    const { url, tls } = await serve({ tls: fault });
    const redis = open({ url, tls: { ca: tls?.ca ?? '' } });
    const subscription = redis.adapter.subscribe('c', () => undefined);
    const [said, listening] = await Promise.all([
      refusal(redis),
      subscription.ready.then(
        () => 'it listens',
        (error: unknown) => inspect(error),
      ),
    ]);
    expect(said).toMatch(why);
    expect(listening).toMatch(why);
    await expect(redis.adapter.set('k', 1)).rejects.toMatchObject({ executed: 'no' });
  });

  it('and plain text do not mix, either way', async () => {
    const [plain, secured] = await Promise.all([shared('standalone'), shared('tls')]);
    await refusal(open({ url: plain.url.replace('redis:', 'rediss:') }));
    await refusal(open({ url: secured.url.replace('rediss:', 'redis:') }));
  });
});
