/**
 * A namespace among many foreign keys: exactly what the model says is ended, nothing foreign is touched, not even read.
 * With 20,000 foreign keys; `FOREIGN_KEYS=1000000` for the long run.
 */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { startStandalone, until, type Standalone } from '../topology/index.js';
import { digestForeign, Monitor, plantForeign } from './foreign-keys.js';
import { expected, look, plant } from './planted-keys.js';

const FOREIGN = Number(process.env['FOREIGN_KEYS'] ?? 20_000);
const ROUNDS = FOREIGN >= 1_000_000 ? 100 : 8;
const LONG_MS = 60_000 + FOREIGN * 0.6;

let server: Standalone;
beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

async function open(): Promise<Redis> {
  const cleanup = { budgetPerSecond: 100_000, maxLatency: '2s' } as const;
  const redis = createRedis({ url: server.url, namespace: 'app', timeout: '5s', cleanup }, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

it(
  `ends what the model says among ${FOREIGN} foreign keys, and touches none of those`,
  async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const redis = await open();
    const client = redis.adapter.port;
    await plantForeign(server.port, FOREIGN);
    const planted = await plant(client, 'app', { rounds: ROUNDS, seed });
    const [digest, before] = [
      await digestForeign(server.port, FOREIGN),
      await look(client, planted.fates.keys()),
    ];

    const monitor = await Monitor.on(server.port);
    const report = await redis.cleanup.run();
    await client.command('ECHO', ['the end of it']);
    await until(() => monitor.counts.has('ECHO'), { what: 'the monitor to have seen it all' });
    monitor.close();
    if (process.env['FOREIGN_KEYS'] !== undefined)
      console.log({ report, commands: Object.fromEntries(monitor.counts) });

    expect({ seed, outcome: report.outcome, removed: report.removed, expiring: report.expiring }).toEqual({
      seed,
      outcome: 'ok',
      removed: planted.removed,
      expiring: planted.expiring,
    });
    // A foreign name in a command is a touch, if only a question; what SCAN answers is no command.
    expect(monitor.touching).toEqual([]);
    expect(monitor.counts.get('SCAN')).toBeGreaterThan(FOREIGN / 1_000);
    for (const forbidden of ['KEYS', 'FLUSHDB', 'FLUSHALL', 'DEL'])
      expect(monitor.counts.has(forbidden)).toBe(false);
    expect(await digestForeign(server.port, FOREIGN)).toBe(digest);
    expect(await look(client, planted.fates.keys())).toEqual(expected(planted, before));
  },
  LONG_MS,
);
