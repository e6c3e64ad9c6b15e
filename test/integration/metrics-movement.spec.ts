/**
 * A metric that nothing feeds is a lie on a board: every capability is driven here, on the embedded default and on real
 * servers that fail, and by the end every metric of the catalogue has moved.
 */
import { randomBytes } from 'node:crypto';
import { Controller, Get, Param } from '@nestjs/common';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { Cacheable, CacheMiddleware } from '@anbar/nestjs-redis';
import { METRICS } from '@anbar/nestjs-redis/monitoring';
import { telemetryChannel } from '@anbar/nestjs-redis/core';
import { shared, startFaultProxy, startStandalone, until } from '../topology/index.js';
import { serve } from './http-boot.js';
import { Figures, watch } from './metrics-stage.js';

const moved = new Set<string>();

function note(figures: Figures): Figures {
  for (const name of figures.moved) moved.add(name);
  return figures;
}

describe('on the embedded default', () => {
  it('caches, loads and near caches', async () => {
    const { redis, scrape } = await watch({
      topology: 'embedded',
      cache: { negativeTtl: '1m', l1: { maxEntries: 2 } },
    });
    const { cache } = redis;
    await cache.set('a', 1);
    await cache.get('a');
    await cache.get('none');
    await Promise.all([cache.getOrSet('b', () => 2), cache.getOrSet('b', () => 2)]);
    await cache.getOrSet('failing', () => Promise.reject(new Error('no'))).catch(() => undefined);
    await cache.getOrSet('odd', () => () => undefined).catch(() => undefined);
    await cache.getOrSet('refused', async () => {
      await cache.delete('refused');
      return 1;
    });
    await cache.getOrSet('absent', () => null);
    await cache.get('absent');
    for (let i = 0; i < 10; i += 1) {
      await cache.set(`l1:${i}`, i);
      await cache.get(`l1:${i}`);
      await cache.get(`l1:${i}`);
    }
    await cache.deleteMany(['a']);
    await cache.invalidateTags('tag');
    await cache.deletePrefix('l1');
    await cache.flush();
    const figures = note(await scrape());
    const label = { cache: 'default', kind: 'cache' };
    expect(figures.value('cache_requests_total', { ...label, outcome: 'l2' })).toBeGreaterThanOrEqual(10);
    expect(figures.value('cache_coalesced_total', label)).toBe(1);
    expect(figures.value('cache_refused_fills_total', label)).toBe(1);
    expect(figures.value('cache_invalidations_total', { cache: 'default', by: 'tags' })).toBe(1);
    expect(figures.value('cache_invalidations_total', { cache: 'default', by: 'flush' })).toBe(1);
    expect(figures.value('cache_writes_total', { ...label, outcome: 'ok' })).toBeGreaterThanOrEqual(11);
    expect(figures.value('cache_invalidation_duration_seconds_count', {})).toBeGreaterThanOrEqual(4);
  });

  it('limits, locks, messages, tasks and sessions', async () => {
    const { redis, scrape } = await watch({ topology: 'embedded' });
    const { limiter, locks, pubsub, tasks, sessions, adapter } = redis;
    const limit = { name: 'metrics-login', limit: 1, window: '1m' } as const;
    await limiter.consume('someone', limit);
    await limiter.consume('someone', limit);
    await locks.run('metrics', () => undefined);
    await pubsub.publish('metrics', 1);
    const listening = pubsub.subscribe('metrics');
    await listening.start();
    await tasks.add('metrics-task', 1);
    const worker = tasks.work(new Map([['metrics-task', () => 'done']]));
    await until(async () => (await tasks.counts()).completed === 1, { what: 'the task' });
    const session = await sessions.create({ user: 'u1', data: { cart: 1 } });
    await sessions.load(session.id);
    await sessions.destroy(session.id);
    const held = await locks.acquire('held', { ttl: '3s' });
    const figures = note(await scrape());
    expect(figures.value('ratelimit_decisions_total', { limit: 'metrics-login', decision: 'denied' })).toBe(
      1,
    );
    expect(figures.value('ratelimit_sources_total', { source: 'store' })).toBeGreaterThanOrEqual(1);
    expect(figures.value('lock_acquisitions_total', { outcome: 'taken' })).toBe(2);
    expect(figures.value('locks_held')).toBe(1);
    expect(figures.value('pubsub_listeners')).toBe(1);
    expect(figures.value('pubsub_published_total')).toBe(1);
    expect(figures.value('tasks_done_total', { task: 'metrics-task', outcome: 'ok' })).toBe(1);
    expect(figures.value('tasks_queued', { state: 'completed' })).toBe(1);
    expect(figures.value('session_operations_total', { op: 'load', outcome: 'ok' })).toBe(1);

    // What is held is taken away by somebody else.
    const waiting = locks.acquire('held', { wait: '5s' });
    await until(async () => (await scrape()).value('locks_waiting') === 1, { what: 'somebody to wait' });
    note(await scrape());
    for await (const names of adapter.port.scan({ match: '*:lock:*' }))
      await adapter.port.command('DEL', names);
    await until(() => held.signal.aborted, { what: 'the lock to be lost' });
    await (await waiting).release();
    const places = { name: 'metrics-places', algorithm: 'concurrency', limit: 1, hold: '1s' } as const;
    await limiter.consume('someone', places);
    for await (const names of adapter.port.scan({ match: '*:limit:*' }))
      await adapter.port.command('DEL', names);
    await until(() => limiter.stats().placesLost === 1, { what: 'the place to be lost' });
    note(await scrape());
    await listening.return();
    await worker.close();
  });

  it('answers of routes', async () => {
    @Controller('metrics-shelf')
    class Shelf {
      @Get(':id')
      @Cacheable({ ttl: '1m' })
      one(@Param('id') id: string): { id: string } {
        return { id };
      }
    }
    const { redis, scrape } = await watch({ topology: 'embedded' });
    const served = await serve(
      { controllers: [Shelf] },
      {
        platform: 'express',
        prepare: (app) => {
          const middleware = new CacheMiddleware();
          app.use(middleware.use.bind(middleware));
        },
      },
    );
    await served.get('/metrics-shelf/secret-42');
    await served.get('/metrics-shelf/secret-42');
    await served.get('/metrics-shelf/secret-42', { authorization: 'Bearer secret' });
    const seconds = { cache_status: 'hit' };
    await until(
      async () => ((await scrape()).value('http_request_duration_seconds_count', seconds) ?? 0) > 0,
      {
        what: 'the requests to be told',
      },
    );
    const figures = note(await scrape());
    expect(figures.value('http_cache_answers_total', { route: 'Shelf.one', outcome: 'refused' })).toBe(1);
    expect(figures.value('http_cache_refusals_total', { reason: 'credentials' })).toBe(1);
    await redis.disconnect();
  });

  it('bytes that can not be read, and which keys of encryption are in use', async () => {
    const { url } = await shared('standalone');
    const namespace = `metrics-codec-${process.pid}-${Date.now()}`;
    const plain = await watch({ url, namespace });
    await plain.redis.cache.set('plain', 1);
    const keys = [{ id: 'metrics-2026', secret: randomBytes(32).toString('base64') }];
    const { redis, scrape } = await watch({
      url,
      namespace,
      codec: { encryption: { keys, required: false } },
      cache: { l1: false },
    });
    await redis.cache.get('plain');
    await redis.cache.set('sealed', 1);
    await redis.cache.get('sealed');
    await redis.cache.set('broken', 1);
    for await (const names of redis.adapter.port.scan({ match: `${namespace}:*broken*` }))
      for (const name of names) await redis.adapter.port.command('SET', [name, 'not ours']);
    await redis.cache.get('broken');
    const figures = note(await scrape());
    expect(figures.value('codec_decrypted_total', { key_id: 'metrics-2026' })).toBe(1);
    expect(figures.value('codec_plaintext_total')).toBe(1);
    expect(figures.value('codec_unreadable_total', { reason: 'foreign' })).toBe(1);
  });

  it('the clean-up', async () => {
    const { redis, scrape } = await watch({ topology: 'embedded' });
    const run = telemetryChannel('cleanup');
    expect(run.active).toBe(true);
    // Told as the clean-up tells it; its own spec drives the run.
    run.publish({
      name: 'cleanup.completed',
      subject: redis.adapter.port.name,
      durationMs: 40,
      outcome: 'ok',
      attributes: { scanned: 9, freedBytes: 70, 'removed.lease': 2, 'expiring.value': 1, dryRun: false },
    });
    const figures = note(await scrape());
    expect(figures.value('cleanup_removed_total', { rule: 'lease' })).toBe(2);
    expect(figures.value('cleanup_last_success_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
  });
});

describe('on servers', () => {
  it('commands, and what happens when a server goes and comes back', async () => {
    const server = await startStandalone();
    const proxy = await startFaultProxy({ to: server });
    onTestFinished(async () => {
      await proxy.stop();
      await server.stop();
    });
    const { redis, scrape } = await watch({
      host: proxy.host,
      port: proxy.port,
      timeout: '500ms',
      cache: { staleOnError: '1h' },
      heartbeat: '100ms',
      fallback: { journal: 2 },
    });
    const { adapter, cache, fallback, limiter, locks, pubsub } = redis;
    await adapter.port.command('SET', ['metrics', '1']);
    await adapter.port.command('INCR', ['metrics']);
    await adapter.port.command('HGET', ['metrics', 'f']).catch(() => undefined);
    await cache.set('kept', 1);
    await until(async () => (await cache.get('kept')) === 1 && (cache.stats().l1?.entries ?? 0) > 0, {
      what: 'a copy in this process',
    });
    await until(
      async () => ((await scrape()).value('connection_heartbeat_seconds', { client: 'default' }) ?? 0) > 0,
      {
        what: 'a heartbeat',
      },
    );
    let figures = note(await scrape());
    expect(figures.value('command_errors_total', { client: 'default', error: 'wrongtype' })).toBe(1);
    expect(figures.value('command_duration_seconds_count', { client: 'default', command: 'incr' })).toBe(1);
    expect(figures.value('breaker_nodes', { client: 'default', kind: 'reads', state: 'closed' })).toBe(1);
    const listening = pubsub.subscribe('metrics');
    await listening.start();
    const held = await locks.acquire('held', { ttl: '900ms' });

    // In flight when the connection breaks: reads are sent again.
    proxy.blackhole('both');
    const reads = Array.from({ length: 5 }, () =>
      adapter.port.command('GET', ['metrics']).catch(() => undefined),
    );
    await until(async () => ((await scrape()).value('commands_in_flight', { client: 'default' }) ?? 0) > 0, {
      what: 'commands in flight',
    });
    note(await scrape());
    proxy.rst();
    await Promise.all(reads);
    await until(
      async () =>
        ((await scrape()).value('breaker_nodes', { client: 'default', kind: 'reads', state: 'open' }) ?? 0) >
        0,
      { what: 'the breaker to open' },
    );
    await limiter.consume('someone', { name: 'metrics-away', limit: 5, window: '1m' });
    await fallback.set('one', 1);
    await fallback.delete('two');
    await fallback.delete('three');
    await fallback.delete('four');
    await cache.getOrSet('away', () => 1);
    await cache.get('kept');
    expect(note(await scrape()).value('l1_doubtful_entries')).toBeGreaterThan(0);
    await cache.delete('kept').catch(() => undefined);
    await until(() => held.signal.aborted, { what: 'the lock to run out' });
    figures = note(await scrape());
    expect(figures.value('connection_up', { client: 'default' })).toBe(0);
    expect(figures.value('fallback_mode', { mode: 'fallback' })).toBe(1);
    expect(figures.value('fallback_journal_overflowed')).toBe(1);
    expect(figures.value('retries_total', { client: 'default', outcome: 'retried' })).toBeGreaterThan(0);
    expect(figures.value('ratelimit_allowed_without_store_total')).toBe(1);
    expect(figures.value('l1_source', { by: 'none' })).toBe(1);
    expect(figures.value('cache_invalidation_failures_total', { cache: 'default' })).toBe(1);

    await proxy.pass();
    await until(async () => (await scrape()).value('fallback_mode', { mode: 'redis' }) === 1, {
      what: 'Redis to be back',
    });
    figures = note(await scrape());
    expect(figures.value('connection_up', { client: 'default' })).toBe(1);
    expect(figures.value('fallback_changes_total', { to: 'redis' })).toBe(1);
    await listening.return();
  });

  it('shards that come and go', async () => {
    const { urls } = await shared('shards');
    const [a = '', b = ''] = urls;
    const { redis, scrape } = await watch({ topology: 'embedded', shards: { a: { url: a }, b: { url: b } } });
    const { sharded } = redis;
    for (let i = 0; i < 20; i += 1) {
      await sharded.set(`book:${i}`, i);
      await sharded.get(`book:${i}`);
    }
    let figures = note(await scrape());
    const share = ['a', 'b'].map((shard) => figures.value('shard_slots_share', { shard }) ?? 0);
    expect(share[0] ?? 0).toBeGreaterThan(0.3);
    expect((share[0] ?? 0) + (share[1] ?? 0)).toBeCloseTo(1);
    const hits = ['a', 'b'].map(
      (shard) => figures.value('shard_requests_total', { shard, outcome: 'hit' }) ?? 0,
    );
    expect((hits[0] ?? 0) + (hits[1] ?? 0)).toBe(20);
    await sharded.removeShard('b');
    figures = note(await scrape());
    expect(figures.value('shard_events_total', { shard: 'b', event: 'move' })).toBeGreaterThan(0);
  });

  it('a source that fails, and names there are too many of', async () => {
    const { redis, scrape } = await watch({ topology: 'embedded', metrics: { labelLimit: 2 } });
    for (const name of ['x', 'y', 'z']) await redis.cache.namespace(name).get('a');
    const broken = (): never => {
      throw new Error('broken');
    };
    Object.defineProperty(redis.locks, 'stats', { value: broken });
    const figures = note(await scrape());
    expect(figures.value('scrape_errors_total', { source: 'lock' })).toBe(1);
    expect(figures.value('label_overflow_total', { label: 'cache' })).toBeGreaterThan(0);
    const misses = { kind: 'cache', outcome: 'miss' };
    expect(figures.value('cache_requests_total', { cache: 'x', ...misses })).toBe(1);
    expect(figures.value('cache_requests_total', { cache: 'other', ...misses })).toBe(2);
  });
});

afterAll(() => {
  const still = METRICS.map(({ name }) => name).filter((name) => !moved.has(name));
  expect(still).toEqual([]);
});
