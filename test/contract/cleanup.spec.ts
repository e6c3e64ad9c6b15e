/** The clean-up ends exactly what it should, on embedded and on every real topology: by a model that plants it. */
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import type { ScanPage } from '@anbar/nestjs-redis/connection';
import { expected, look, plant } from '../faults-cleanup/planted-keys.js';
import { openPlaces, type Place } from './places.js';

const places = openPlaces();
afterAll(() => Promise.all(places.map((place) => place.stop())));

/** Servers are shared with other tests, so the namespace is not; where rights end at a prefix, it is that. */
async function open(place: Place, seed: number): Promise<Redis> {
  const namespace = place.prefix === '' ? `cleanup-${seed}` : place.prefix.slice(0, -1);
  // As fast as it can: a busy machine is no reason for a test to wait.
  const cleanup = { budgetPerSecond: 1_000_000, maxLatency: '1m' };
  const options = { ...(await place.options()), namespace, connectTimeout: '10s', timeout: '5s', cleanup };
  const redis = createRedis(options as RedisModuleOptions, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

describe.each(places)('on $name', (place) => {
  it('ends what the model says, says so, and leaves everything else as it was', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const redis = await open(place, seed);
    const client = redis.adapter.port;
    const { namespace } = redis.config;
    const planted = await plant(client, namespace, { rounds: 3, seed, confined: place.prefix !== '' });
    onTestFinished(async () => {
      await Promise.all([...planted.fates.keys()].map((key) => client.command('UNLINK', [key])));
    });
    const before = await look(client, planted.fates.keys());
    const told = { removed: planted.removed, expiring: planted.expiring };

    const dry = await redis.cleanup.run({ dryRun: true });
    expect({ seed, outcome: dry.outcome, dryRun: dry.dryRun, ...told }).toEqual({
      seed,
      outcome: 'ok',
      dryRun: true,
      removed: dry.removed,
      expiring: dry.expiring,
    });
    expect(await look(client, planted.fates.keys())).toEqual(before);

    const report = await redis.cleanup.run();
    expect({ seed, outcome: report.outcome, removed: report.removed, expiring: report.expiring }).toEqual({
      seed,
      outcome: 'ok',
      ...told,
    });
    expect(await look(client, planted.fates.keys())).toEqual(expected(planted, before));
    expect(report.scanned).toBe(report.nodes.reduce((sum, { scanned }) => sum + scanned, 0));
    expect(report.freedBytes > 0).toBe(client.topology !== 'embedded');
    const homes = new Set(report.nodes.map(({ home }) => home));
    expect(homes).toEqual(new Set(client.topology === 'embedded' ? ['default'] : ['default', 'fallback']));

    const again = await redis.cleanup.run();
    expect({ removed: again.removed, expiring: again.expiring }).toEqual({ removed: {}, expiring: {} });
  }, 60_000);

  it('is told of each round trip of a scan, by every server, before its names', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const redis = await open(place, seed);
    const client = redis.adapter.port;
    const prefix = `${redis.config.namespace}:scan:`;
    for (let i = 0; i < 60; i += 1) await client.command('SET', [`${prefix}${i}`, i, 'EX', 60]);
    const nodes = new Set<string>();
    let [told, brought] = [0, 0];
    const onPage = async (page: ScanPage): Promise<void> => {
      await Promise.resolve();
      nodes.add(page.node);
      told += page.names;
      expect(page.durationMs).not.toBeLessThan(0);
    };
    for await (const names of client.scan({ match: `${prefix}*`, count: 10, timeout: '5s', onPage })) {
      brought += names.length;
      expect(told).toBe(brought);
    }
    expect(brought).not.toBeLessThan(60);
    expect(nodes.size).toBe(client.topology === 'cluster' ? 3 : 1);

    const failing = client.scan({ onPage: () => Promise.reject(new Error('too fast')) });
    await expect(failing[Symbol.asyncIterator]().next()).rejects.toThrow('too fast');
    const hasty = client.scan({ timeout: '-1s' as '1s' });
    await expect(hasty[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'INVALID_DURATION' });
  });
});
