/**
 * Follows requests: an id, the time taken, cache headers where nobody else has set any, and one event per request.
 * It also lets the contexts of a cache see the request from anywhere within it.
 */
import { Injectable, type NestMiddleware } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { withRequest } from '../cache/index.js';
import { systemClock, telemetryChannel } from '../core/index.js';

const ID = 'x-request-id';
/** Ids of others are taken over when they can stand in a header and a log line. */
const USABLE_ID = /^[\w.:/+=-]{1,128}$/u;

type WriteHead = (...args: unknown[]) => ServerResponse;

@Injectable()
export class CacheMiddleware implements NestMiddleware {
  readonly #telemetry = telemetryChannel('http-cache');

  use(request: IncomingMessage, response: ServerResponse, next: () => void): void {
    const startedAt = systemClock.now();
    const given = request.headers[ID];
    const id = typeof given === 'string' && USABLE_ID.test(given) ? given : randomUUID();
    request.headers[ID] = id;
    response.setHeader(ID, id);
    completeHead(response, startedAt);
    if (this.#telemetry.active) this.#follow(request, response, startedAt);
    withRequest(request, next);
  }

  #follow(request: IncomingMessage, response: ServerResponse, startedAt: number): void {
    response.once('close', () => {
      this.#telemetry.publish({
        name: 'http-cache.request',
        subject: request.method ?? '',
        durationMs: systemClock.now() - startedAt,
        outcome: headerText(response.getHeader('x-cache')) ?? 'none',
        attributes: { status: response.statusCode, complete: response.writableFinished },
      });
    });
  }
}

/** The last moment before the head is written: by then everybody has said what they had to say. */
function completeHead(response: ServerResponse, startedAt: number): void {
  const bound: unknown = response.writeHead.bind(response);
  const writeHead = bound as WriteHead;
  response.writeHead = (...args: unknown[]) => {
    const given = args.find((arg) => typeof arg === 'object' && arg !== null);
    if (!response.headersSent) {
      response.setHeader('x-response-time', `${(systemClock.now() - startedAt).toFixed(1)}ms`);
      const said = response.hasHeader('cache-control') || hasName(given, 'cache-control');
      // Without a word, browsers and proxies make up a lifetime of their own.
      if (!said) response.setHeader('cache-control', 'private, no-store');
    }
    return writeHead(...args);
  };
}

function hasName(headers: unknown, name: string): boolean {
  if (Array.isArray(headers)) return headers.flat().some((item) => String(item).toLowerCase() === name);
  return Object.keys(headers ?? {}).some((key) => key.toLowerCase() === name);
}

function headerText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
