import { afterEach, expect, it } from 'vitest';
import {
  createClient,
  leftoverRule,
  PassingClient,
  resolveConnection,
  type CleanupRule,
  type RedisClient,
  type ScanOptions,
} from '../connection/index.js';
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import { LockService } from '../lock/index.js';
import { logCleanup } from './cleanup-log.js';
import { CleanupService, type CleanupParts } from './cleanup-service.js';
import { CleanupFailedError } from './cleanup.errors.js';
import { CLEANUP_LOCK } from './cleanup.keys.js';
import { resolveCleanup, type CleanupOptions } from './cleanup.options.js';

const LEFT = leftoverRule({ name: 'left', prefix: 'app:left:', holds: (key) => !key.endsWith('odd') }, 0);
const FAST: CleanupOptions = { budgetPerSecond: 10_000_000, maxLatency: '1h', progressEvery: '1ms' };

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function open(
  options: CleanupOptions = {},
  over: Partial<CleanupParts> = {},
  rules: readonly CleanupRule[] = [LEFT],
) {
  const client = createClient(resolveConnection('default', { topology: 'embedded' }, []));
  const locks = new LockService({ client, namespace: 'app' }, { ttl: '1s' });
  const homes = () => [{ name: 'default', client, rules: () => rules }];
  const settings = resolveCleanup({ ...FAST, ...options });
  const cleanup = new CleanupService({ client, namespace: 'app', locks, homes, settings, ...over });
  closing.push(
    () => client.disconnect(),
    () => locks.disconnect(),
    () => cleanup.close(),
  );
  return { client, locks, cleanup };
}

async function plant(client: RedisClient, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await client.command('SET', [`app:left:${i}`, 'x']);
}

function listen(): readonly TelemetryEvent[] {
  const events: TelemetryEvent[] = [];
  closing.push(onTelemetry('cleanup', (event) => events.push(event)));
  return events;
}

function lines(): readonly string[] {
  const written: string[] = [];
  const as = (level: string) => (line: string) =>
    written.push(`${level}: ${line.replace(/[\d.]+ s\b/u, 'x s')}`);
  closing.push(logCleanup({ debug: as('debug'), log: as('log'), warn: as('warn') }));
  return written;
}

it('tells when it begins, how far it is, and what it came to', async () => {
  const { client, cleanup } = open({ budgetPerSecond: 30_000 });
  await plant(client, 600);
  await client.command('SET', ['app:left:kept', 'x', 'EX', 60]);
  await client.command('SET', ['app:left:odd', 'x']);
  const [events, log] = [listen(), lines()];
  const progress: number[] = [];
  const report = await cleanup.run({ onProgress: ({ scanned }) => progress.push(scanned) });
  expect(report).toMatchObject({
    outcome: 'ok',
    dryRun: false,
    scanned: 601,
    removed: { left: 600 },
    expiring: {},
    freedBytes: 0,
    pausedMs: 0,
    nodes: [{ home: 'default', node: 'embedded', scanned: 601, removed: { left: 600 } }],
  });
  expect(progress.length).toBeGreaterThan(0);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(events.at(0)).toMatchObject({ name: 'cleanup.started', subject: 'default' });
  expect(events.filter(({ name }) => name === 'cleanup.progress').length).toBe(progress.length);
  expect(events.at(-1)).toMatchObject({
    name: 'cleanup.completed',
    outcome: 'ok',
    attributes: { scanned: 601, 'removed.left': 600, freedBytes: 0, dryRun: false },
  });
  expect(log.at(-1)).toBe('log: the clean-up is done: 601 keys, removed 600 left in x s');
  await cleanup.run();
  expect(log.at(-1)).toBe('debug: the clean-up found nothing: 1 keys in x s');
});

it('changes nothing in a dry run, and leaves no mark of having been done', async () => {
  const { client, cleanup } = open();
  await plant(client, 3);
  const log = lines();
  expect(await cleanup.runIfDue({ dryRun: true })).toMatchObject({ outcome: 'ok', removed: { left: 3 } });
  expect(await client.command('DBSIZE', [])).toBe(4);
  expect(log.at(-1)).toBe(
    'log: the clean-up is done: 3 keys, removed 3 left in x s (dry run: nothing was changed)',
  );
  expect(await cleanup.runIfDue()).toMatchObject({ outcome: 'ok', removed: { left: 3 } });
  expect(await cleanup.runIfDue()).toMatchObject({ outcome: 'recent', scanned: 0 });
});

it('does nothing while another run is under way, and says so', async () => {
  const { client, locks, cleanup } = open();
  await plant(client, 3);
  const [events, log] = [listen(), lines()];
  await locks.run(CLEANUP_LOCK, async () => {
    const elsewhere = new LockService({ client, namespace: 'app' });
    closing.push(() => elsewhere.disconnect());
    const other = new CleanupService({
      client,
      namespace: 'app',
      locks: elsewhere,
      homes: () => [],
      settings: cleanup.settings,
    });
    expect(await other.run()).toMatchObject({ outcome: 'lock_held', scanned: 0, removed: {} });
  });
  expect(events.map(({ name, outcome }) => [name, outcome])).toEqual([['cleanup.completed', 'lock_held']]);
  expect(log).toEqual(['debug: no clean-up: another process is at it']);
});

it('stops when it is told to, when the application ends, and when its lock is lost', async () => {
  const { client, cleanup } = open({ budgetPerSecond: 10 });
  await plant(client, 300);
  const controller = new AbortController();
  const stopped = cleanup.run({ signal: controller.signal, onProgress: () => controller.abort() });
  expect(await stopped).toMatchObject({ outcome: 'aborted' });

  const lost = cleanup.run({
    onProgress: () => void client.command('UNLINK', ['app:v1:lock:{anbar:cleanup}']),
  });
  // The next renewal finds it gone.
  expect(await lost).toMatchObject({ outcome: 'aborted' });

  const ended = cleanup.run();
  await cleanup.close();
  expect(await ended).toMatchObject({ outcome: 'aborted' });
  expect(await cleanup.run()).toMatchObject({ outcome: 'aborted', scanned: 0 });
});

it('goes through the other places when one fails, and then says that it failed', async () => {
  class Broken extends PassingClient {
    override scan(): AsyncIterable<readonly string[]> {
      throw new Error('this one is away');
    }
  }
  const { client, locks, cleanup } = open({ progressEvery: '1h' });
  await plant(client, 3);
  const log = lines();
  const broken = { name: 'shard:a', client: new Broken(client), rules: () => [LEFT] };
  const whole = { name: 'default', client, rules: () => [LEFT] };
  const { settings } = cleanup;
  const homes = () => [broken, whole];
  const partly = new CleanupService({ client, namespace: 'app', locks, homes, settings });
  const error: unknown = await partly.runIfDue().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CleanupFailedError);
  expect(error).toMatchObject({ code: 'CLEANUP_FAILED', report: { outcome: 'error', removed: { left: 3 } } });
  expect(log).toEqual(['warn: the clean-up failed, the next run goes on: 3 keys, removed 3 left in x s']);
  // It is due still.
  expect(await cleanup.runIfDue()).toMatchObject({ outcome: 'ok' });
});

it('pauses while the server is slow', async () => {
  class Slow extends PassingClient {
    readonly #inner: RedisClient;
    #pages = 0;

    constructor(inner: RedisClient) {
      super(inner);
      this.#inner = inner;
    }

    override scan(options: ScanOptions = {}): AsyncIterable<readonly string[]> {
      const onPage: ScanOptions['onPage'] = (page) =>
        options.onPage?.({ ...page, durationMs: (this.#pages += 1) <= 2 ? 40 : 1 });
      return this.#inner.scan({ ...options, onPage });
    }
  }
  const { client, locks, cleanup } = open({ maxLatency: '20ms' });
  await plant(client, 900);
  const homes = () => [{ name: 'default', client: new Slow(client), rules: () => [LEFT] }];
  const paused = new CleanupService({ client, namespace: 'app', locks, homes, settings: cleanup.settings });
  const report = await paused.run();
  expect(report).toMatchObject({ outcome: 'ok', removed: { left: 900 }, pausedMs: 300 });
  expect(300 - report.durationMs).toBeLessThan(1);
});

it('leaves what somebody has put another kind of thing under', async () => {
  const judge: CleanupRule['judge'] = async (key, { client, call }) => {
    await client.command('LPUSH', [key, 'x'], call);
    return 'removed' as const;
  };
  const { client, cleanup } = open({}, {}, [{ ...LEFT, judge }]);
  await plant(client, 1);
  const { outcome, removed } = await cleanup.run();
  expect({ outcome, removed }).toEqual({ outcome: 'ok', removed: {} });
});
