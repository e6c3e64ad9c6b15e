/** `CacheMiddleware`: an id, the time taken and cache headers for every request, and one event when it has ended. */
import {
  Controller,
  Get,
  Header,
  NotFoundException,
  Param,
  Res,
  type MiddlewareConsumer,
  type NestModule,
  Module,
} from '@nestjs/common';
import { Agent, request as send } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cacheable, CacheMiddleware } from '@anbar/nestjs-redis';
import { onTelemetry, type TelemetryEvent } from '@anbar/nestjs-redis/core';
import { PLATFORMS, serve, type Served } from './http-boot.js';

@Controller('shop')
class Shop {
  @Get('plain')
  plain(): object {
    return { plain: true };
  }

  @Get('kept')
  @Cacheable({ ttl: '1m' })
  kept(): object {
    return { kept: true };
  }

  @Get('own')
  @Header('cache-control', 'public, max-age=5')
  own(): object {
    return { own: true };
  }

  @Get('written')
  written(@Res() response: { raw?: Raw } & Raw): void {
    const raw = response.raw ?? response;
    raw.writeHead(200, { 'Cache-Control': 'max-age=9', 'content-type': 'text/plain' });
    raw.end('written past Nest');
  }

  @Get('missing')
  missing(): object {
    throw new NotFoundException();
  }

  @Get('forever/:id')
  forever(@Param('id') id: string): Promise<object> {
    return new Promise((resolve) => {
      setTimeout(() => resolve({ id }), 300);
    });
  }
}

interface Raw {
  writeHead(status: number, headers: Record<string, string>): void;
  end(text: string): void;
}

@Module({ controllers: [Shop] })
class Followed implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(CacheMiddleware).forRoutes('*path');
  }
}

function eventsOfRequests(): TelemetryEvent[] {
  const events: TelemetryEvent[] = [];
  const stop = onTelemetry('http-cache', (event) => {
    if (event.name === 'http-cache.request') events.push(event);
  });
  onTestFinished(stop);
  return events;
}

describe.each(PLATFORMS)('on %s', (platform) => {
  const boot = (): Promise<Served> => serve({ imports: [Followed] }, { platform });

  it('every answer has an id of its own', async () => {
    const shop = await boot();
    const ids = await Promise.all(
      [1, 2].map(async () => (await shop.get('/shop/plain')).headers.get('x-request-id')),
    );
    for (const id of ids) expect(id).toMatch(/^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/u);
    expect(ids[0]).not.toBe(ids[1]);
    expect((await shop.get('/shop/missing')).headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/u);
  });

  it.each([
    ['taken over', 'a.b:c/d=1', true],
    ['taken over at its longest', 'x'.repeat(128), true],
    ['not taken over when it is longer', 'x'.repeat(129), false],
    ['not taken over with a space in it', 'a b', false],
    ['not taken over with something for a log in it', 'a"b', false],
  ])("a client's id is %s", async (_, id, taken) => {
    const shop = await boot();
    const answer = await shop.get('/shop/plain', { 'x-request-id': id });
    expect(answer.headers.get('x-request-id') === id).toBe(taken);
    expect(answer.headers.get('x-request-id')).not.toBe('');
  });

  it('the time taken stands in the answer', async () => {
    const shop = await boot();
    const quick = await shop.get('/shop/plain');
    expect(quick.headers.get('x-response-time')).toMatch(/^\d+\.\dms$/u);
    const slow = await shop.get('/shop/forever/1');
    expect(Number.parseFloat(slow.headers.get('x-response-time') ?? '')).toBeGreaterThanOrEqual(299);
  });

  it.each([
    ['nobody has said anything', 'plain', 'private, no-store'],
    ['it is an error', 'missing', 'private, no-store'],
    ['the handler has said something', 'own', 'public, max-age=5'],
    ['the answer is written past Nest', 'written', 'max-age=9'],
    ['the answer is a cached one', 'kept', 'private, no-cache'],
  ])('Cache-Control, where %s', async (_, path, expected) => {
    const shop = await boot();
    await shop.get(`/shop/${path}`);
    expect((await shop.get(`/shop/${path}`)).headers.get('cache-control')).toBe(expected);
  });

  it('each request is one event: method, status, what the cache did, and how long it took', async () => {
    const events = eventsOfRequests();
    const shop = await boot();
    for (const path of ['plain', 'kept', 'kept', 'missing']) {
      await shop.get(`/shop/${path}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await shop.get('/shop/plain', {}, 'HEAD');
    await expect.poll(() => events.length).toBe(5);
    const told = events.map(({ subject, outcome, attributes }) => ({ subject, outcome, ...attributes }));
    expect(told).toEqual([
      { subject: 'GET', outcome: 'none', status: 200, complete: true },
      { subject: 'GET', outcome: 'MISS', status: 200, complete: true },
      { subject: 'GET', outcome: 'HIT', status: 200, complete: true },
      { subject: 'GET', outcome: 'none', status: 404, complete: true },
      { subject: 'HEAD', outcome: 'none', status: 200, complete: true },
    ]);
    for (const { durationMs } of events) expect(durationMs).toBeGreaterThanOrEqual(0);
  });

  it('a client that leaves is told as an answer that was not completed', async () => {
    const events = eventsOfRequests();
    const shop = await boot();
    const agent = new Agent();
    onTestFinished(() => agent.destroy());
    const sent = send(`${shop.url}/shop/forever/2`, { agent });
    sent.on('error', () => undefined).end();
    setTimeout(() => sent.destroy(), 50);
    await expect.poll(() => events.length).toBe(1);
    expect(events[0]?.attributes).toMatchObject({ complete: false });
  });

  it('nothing is published, and nothing followed, while nobody listens', async () => {
    const shop = await boot();
    await shop.get('/shop/plain');
    const events = eventsOfRequests();
    await shop.get('/shop/plain');
    await expect.poll(() => events.length).toBe(1);
  });
});
