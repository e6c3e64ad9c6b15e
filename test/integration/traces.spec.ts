/** Spans of what this package does, as an application with OpenTelemetry sees them; and nothing without it. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Injectable } from '@nestjs/common';
import { createRedis, OnMessage, PubSub, RedisModule, type Redis } from '@anbar/nestjs-redis';
import { recordSpans, spans, type SpanRecorder as Recorder } from '@anbar/nestjs-redis/core';
import { openPlaces } from '../contract/places.js';
import { until } from '../topology/index.js';
import { boot } from './boot.js';
import { SpanRecorder } from './span-recorder.js';

const PLACES = openPlaces().filter(({ name }) => ['embedded', 'standalone', 'cluster'].includes(name));

const recorder = new SpanRecorder();
let count = 0;

beforeAll(() => recorder.begin());
afterAll(() => recorder.end());
beforeEach(() => recorder.forget());

function namespace(): string {
  count += 1;
  return `traces-${process.pid}-${Date.now().toString(36)}-${count}`;
}

function parentOf(span: ReadableSpan | undefined): string | undefined {
  return span?.parentSpanContext?.spanId;
}

function only(found: readonly ReadableSpan[]): ReadableSpan {
  const [first, second] = found;
  if (first === undefined || second !== undefined) throw new Error(`${found.length} spans instead of one`);
  return first;
}

async function open(options: Parameters<typeof createRedis>[0]): Promise<Redis> {
  const redis = createRedis({ timeout: '5s', connectTimeout: '10s', namespace: namespace(), ...options }, {});
  await redis.connect();
  return redis;
}

describe.each(PLACES)('on $name', (place) => {
  let redis: Redis;

  beforeEach(async () => {
    redis = await open(await place.options());
  });
  afterEach(() => redis.disconnect());

  it('a load is a child of the call that asked for it, and around what the loader does', async () => {
    const books = redis.cache.namespace('books');
    const ids = await recorder.within('request', async (request) => {
      await books.getOrSet(['user', 'ada@example.com'], () =>
        recorder.within('query', () => Promise.resolve(1)),
      );
      return request.spanContext();
    });
    const load = only(recorder.named('cache.load'));
    expect(parentOf(load)).toBe(ids.spanId);
    expect(load.spanContext().traceId).toBe(ids.traceId);
    expect(parentOf(only(recorder.named('query')))).toBe(load.spanContext().spanId);
    expect(load.attributes).toEqual({ 'anbar.name': 'books' });
    expect(load.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('a hit, a write and a read of nothing are worth none', async () => {
    await recorder.within('request', async () => {
      await redis.cache.set('key', 1);
      await until(async () => (await redis.cache.get('key')) === 1, { what: 'the value' });
      await redis.cache.getOrSet('key', () => 2);
      await redis.cache.getMany(['key', 'no such key']);
    });
    expect(recorder.all.map(({ name }) => name)).toEqual(['request']);
  });

  it('a load that several callers share is one span, below the one that began it', async () => {
    let finish: (value: number) => void = () => undefined;
    const loader = () => new Promise<number>((resolve) => (finish = resolve));
    const loads: Promise<number>[] = [];
    const first = recorder.within('first', async (span) => {
      loads.push(redis.cache.getOrSet('shared', loader));
      await loads[0];
      return span.spanContext().spanId;
    });
    await until(() => redis.cache.stats().loads === 1, { what: 'the load' });
    const second = recorder.within('second', () => redis.cache.getOrSet('shared', loader));
    await until(() => redis.cache.stats().coalesced === 1, { what: 'the second caller' });
    finish(1);
    await second;
    expect(parentOf(only(recorder.named('cache.load')))).toBe(await first);
  });

  it('whoever takes a load over runs it below a span of their own', async () => {
    const aborted = new AbortController();
    const first = recorder
      .within('first', () =>
        redis.cache.getOrSet('left', () => new Promise(() => undefined), { signal: aborted.signal }),
      )
      .catch(() => undefined);
    await until(() => redis.cache.stats().loads === 1, { what: 'the load' });
    const second = recorder.within('second', async (span) => {
      const loading = redis.cache.getOrSet('left', () => recorder.within('query', () => Promise.resolve(2)));
      aborted.abort();
      await loading;
      return span.spanContext();
    });
    const taker = await second;
    await first;
    const query = only(recorder.named('query'));
    const below = recorder.named('cache.load').find((span) => span.spanContext().spanId === parentOf(query));
    expect(parentOf(below)).toBe(taker.spanId);
    expect(query.spanContext().traceId).toBe(taker.traceId);
  });

  it('one call of a loader for many keys is one span', async () => {
    const parent = await recorder.within('request', async (span) => {
      await redis.cache.getOrSetMany(['a', 'b', 'c'], (keys) => keys.map(() => 1));
      return span.spanContext().spanId;
    });
    const load = only(recorder.named('cache.load'));
    expect(parentOf(load)).toBe(parent);
    expect(load.attributes).toEqual({ 'anbar.name': 'default', 'cache.keys': 3 });
  });

  it('a refresh behind an answer is a trace of its own, with a link to the call', async () => {
    const options = { ttl: '50ms', stale: '1h' } as const;
    await redis.cache.getOrSet('old', () => 1, options);
    await until(async () => (await redis.cache.get('old')) === undefined, { what: 'the end of its ttl' });
    recorder.forget();
    const caller = await recorder.within('request', async (span) => {
      expect(await redis.cache.getOrSet('old', () => 2, options)).toBe(1);
      return span.spanContext();
    });
    const refresh = only(await recorder.has('cache.refresh'));
    expect(parentOf(refresh)).toBeUndefined();
    expect(refresh.spanContext().traceId).not.toBe(caller.traceId);
    expect(refresh.links.map((link) => link.context.spanId)).toEqual([caller.spanId]);
  });

  it('a failure is told by its code, never by its text', async () => {
    class SecretError extends Error {
      override readonly name = 'SecretError';
    }
    const failing = recorder.within('request', () =>
      redis.cache.getOrSet('bad', () => Promise.reject(new SecretError('password=hunter2'))),
    );
    await expect(failing).rejects.toThrow('hunter2');
    const load = only(recorder.named('cache.load'));
    expect(load.status).toEqual({ code: SpanStatusCode.ERROR, message: 'SecretError' });
    expect(load.attributes['error.type']).toBe('SecretError');
    expect(load.events).toEqual([]);
    expect(JSON.stringify([load.attributes, load.status])).not.toContain('hunter2');
  });

  it.each([
    ['delete', (redis_: Redis) => redis_.cache.delete('gone')],
    ['deleteMany', (redis_: Redis) => redis_.cache.deleteMany(['gone'])],
    ['tags', (redis_: Redis) => redis_.cache.invalidateTags('author:ada')],
    ['prefix', (redis_: Redis) => redis_.cache.deletePrefix(['gone'])],
    ['flush', (redis_: Redis) => redis_.cache.flush()],
  ])('an invalidation by %s is one', async (by, invalidate) => {
    const parent = await recorder.within('request', async (span) => {
      await invalidate(redis);
      return span.spanContext().spanId;
    });
    const span = only(recorder.named('cache.invalidate'));
    expect(parentOf(span)).toBe(parent);
    expect(span.attributes).toEqual({ 'anbar.name': 'default', 'cache.invalidated_by': by });
  });

  it('a limit that asks Redis is one, named for the limit and not for who is limited', async () => {
    const limit = { name: 'login', limit: 1, window: '1m' } as const;
    const parent = await recorder.within('request', async (span) => {
      await redis.limiter.consume(['ip', '192.0.2.1'], limit);
      await redis.limiter.consume(['ip', '192.0.2.1'], limit);
      return span.spanContext().spanId;
    });
    const asked = recorder.named('rate-limit.ask');
    expect(asked.map(({ attributes }) => attributes)).toEqual([
      { 'anbar.name': 'login', 'rate_limit.allowed': true },
      { 'anbar.name': 'login', 'rate_limit.allowed': false },
    ]);
    expect(asked.map(parentOf)).toEqual([parent, parent]);
    expect(asked.map(({ kind }) => kind)).toEqual([SpanKind.CLIENT, SpanKind.CLIENT]);
  });

  it('a task goes on in the trace of who added it, and fails there by code', async () => {
    const added = await recorder.within('request', async (span) => {
      await redis.tasks.add('print', { copies: 2 });
      await redis.tasks.add('print', { copies: 0 }, { attempts: 1 });
      return span.spanContext();
    });
    const inside: (string | undefined)[] = [];
    const worker = redis.tasks.work(
      new Map([
        [
          'print',
          async ({ data }: { data: unknown }) => {
            await new Promise((done) => setTimeout(done, 1));
            inside.push(trace.getSpanContext(context.active())?.spanId);
            if (Reflect.get(Object(data), 'copies') === 0) throw new Error('nothing to print on 10.0.0.1');
          },
        ],
      ]),
    );
    const performed = await recorder.has('tasks.perform', 2);
    await worker.close();
    const adding = recorder.named('tasks.add');
    expect(adding.map(parentOf)).toEqual([added.spanId, added.spanId]);
    expect(adding.map(({ kind }) => kind)).toEqual([SpanKind.PRODUCER, SpanKind.PRODUCER]);
    expect(new Set(performed.map(parentOf))).toEqual(
      new Set(adding.map((span) => span.spanContext().spanId)),
    );
    expect(performed.map((span) => span.spanContext().traceId)).toEqual([added.traceId, added.traceId]);
    expect(new Set(inside)).toEqual(new Set(performed.map((span) => span.spanContext().spanId)));
    expect(inside).toHaveLength(2);
    expect(performed.map(({ status }) => status.message ?? '').toSorted()).toEqual(['', 'Error']);
    expect(performed[0]?.attributes).toMatchObject({ 'anbar.name': 'print', 'task.attempt': 1 });
  });

  it('a task that brings no trace begins one, whatever is around its worker', async () => {
    await recorder.within('request', () => redis.tasks.add('tidy', undefined));
    const worker = await recorder.within('boot', () =>
      Promise.resolve(redis.tasks.work(new Map([['tidy', () => Promise.resolve()]]))),
    );
    const performed = only(await recorder.has('tasks.perform'));
    await worker.close();
    expect(parentOf(performed)).toBeUndefined();
    expect(performed.links).toEqual([]);
    const others = [...recorder.named('request'), ...recorder.named('boot')];
    expect(others.map((span) => span.spanContext().traceId)).not.toContain(performed.spanContext().traceId);
  });
});

describe.each(PLACES.filter(({ name }) => name !== 'cluster'))('messages on $name', (place) => {
  it('are handled in the trace of who published them', async () => {
    const handled: (string | undefined)[] = [];
    @Injectable()
    class Orders {
      @OnMessage('traces.changed')
      async onChange(): Promise<void> {
        await new Promise((done) => setTimeout(done, 1));
        handled.push(trace.getSpanContext(context.active())?.spanId);
      }

      @OnMessage('traces.lost', { mode: 'group', group: 'mail' })
      onLoss(): Promise<void> {
        return Promise.reject(new Error('no'));
      }
    }
    const { app } = await boot({
      imports: [
        RedisModule.forRoot({
          ...(await place.options()),
          namespace: namespace(),
          pubsub: { channels: { 'traces.changed': {} } },
        }),
      ],
      providers: [Orders],
    });
    await app.init();
    const pubsub = app.get(PubSub);
    const sent = await recorder.within('request', async (span) => {
      await pubsub.publish('traces.changed', { id: 1 });
      await pubsub.publish('user:42:traces', { id: 1 });
      await pubsub.publish('traces.lost', { id: 1 }, { mode: 'group' });
      return span.spanContext();
    });
    const [first, second] = (await recorder.has('pubsub.handle', 2)).toSorted((a, b) =>
      String(a.attributes['anbar.name']).localeCompare(String(b.attributes['anbar.name'])),
    );
    const published = recorder.named('pubsub.publish');
    expect(published.map(({ attributes }) => attributes['anbar.name'])).toEqual([
      'traces.changed',
      'undeclared',
      'undeclared',
    ]);
    expect(published.map(parentOf)).toEqual([sent.spanId, sent.spanId, sent.spanId]);
    expect(first?.attributes).toMatchObject({
      'anbar.name': 'Orders.onChange',
      'messaging.destination.name': 'traces.changed',
    });
    expect(parentOf(first)).toBe(published[0]?.spanContext().spanId);
    expect(handled).toEqual([first?.spanContext().spanId]);
    expect(parentOf(second)).toBe(published[2]?.spanContext().spanId);
    expect(second?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'Error' });
  });

  it('tell their listeners where they came from', async () => {
    const redis = await open(await place.options());
    const stream = redis.pubsub.subscribe('news');
    await stream.start();
    await recorder.within('request', () => redis.pubsub.publish('news', 1));
    const { value } = await stream.next();
    const { traceId, spanId } = only(recorder.named('pubsub.publish')).spanContext();
    expect(value?.traceparent).toBe(`00-${traceId}-${spanId}-01`);
    await redis.disconnect();
  });
});

describe('whether spans are recorded', () => {
  it('with `tracing: false` none is', async () => {
    const redis = await open({ topology: 'embedded', tracing: false });
    expect(spans.active).toBe(false);
    await redis.cache.getOrSet('key', () => 1);
    await redis.cache.flush();
    expect(recorder.all).toEqual([]);
    await redis.disconnect();
  });

  it('two modules in one process record each span once, and the last one to close ends it', async () => {
    const [one, other] = [await open({ topology: 'embedded' }), await open({ topology: 'embedded' })];
    await one.disconnect();
    expect(spans.active).toBe(true);
    await other.cache.getOrSet('key', () => 1);
    expect(recorder.named('cache.load')).toHaveLength(1);
    await other.disconnect();
    expect(spans.active).toBe(false);
  });

  it('nothing that goes wrong with it reaches the call, and no work is done twice', async () => {
    let broken = 0;
    const breaking = (): never => {
      broken += 1;
      throw new Error('the SDK is broken');
    };
    trace.disable();
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan: breaking, startActiveSpan: breaking }) });
    const redis = await open({ topology: 'embedded' });
    let runs = 0;
    const value = await redis.cache.getOrSet('key', () => (runs += 1));
    await redis.cache.flush();
    trace.disable();
    recorder.begin();
    await redis.disconnect();
    expect([value, runs, broken]).toEqual([1, 1, 2]);
  });

  it('no span is begun while the application has set up no SDK, which it may do at any time', async () => {
    trace.disable();
    const redis = await open({ topology: 'embedded' });
    expect(spans.active).toBe(false);
    await redis.cache.getOrSet('before', () => 1);
    recorder.begin();
    expect(spans.active).toBe(true);
    await redis.cache.getOrSet('after', () => 1);
    expect(recorder.named('cache.load')).toHaveLength(1);
    await redis.disconnect();
  });

  it('a hit in memory asks nobody', async () => {
    const redis = await open({ topology: 'embedded', tracing: false });
    let asked = 0;
    const counting: Recorder = {
      active: true,
      around: (_, work) => {
        asked += 1;
        return work({ set: () => undefined, fail: () => undefined });
      },
      here: () => {
        asked += 1;
        return undefined;
      },
      carry: () => {
        asked += 1;
        return undefined;
      },
    };
    await redis.cache.set('key', 1);
    await until(async () => redis.cache.stats().l1?.entries === 1 || (await redis.cache.get('key')) === 2, {
      what: 'a copy in this process',
    });
    const stop = recordSpans(counting);
    for (let i = 0; i < 100; i += 1) await redis.cache.getOrSet('key', () => 2);
    expect(asked).toBe(0);
    await redis.cache.getOrSet('other', () => 2);
    expect(asked).toBeGreaterThan(0);
    stop();
    await redis.disconnect();
  });
});
