import { expect, it, onTestFinished } from 'vitest';
import { createClient, resolveConnection } from '../connection/index.js';
import { RateLimiter } from './rate-limiter.js';
import { RouteLimits } from './route-limits.js';

class Fields {
  book(): string {
    return 'Kelidar';
  }
}

/** One request of GraphQL: each of its root fields is a call, and all of them have one response. */
async function headersAfter(fields: number, nameOf: (i: number) => string): Promise<Map<string, string>> {
  const client = createClient(resolveConnection('fields', { topology: 'embedded' }, []));
  const limiter = new RateLimiter({ client, namespace: 'app' });
  onTestFinished(async () => {
    await limiter.close();
    await client.disconnect();
  });
  const routes = new RouteLimits(limiter);
  const headers = new Map<string, string>();
  const res = { setHeader: (name: string, value: string) => headers.set(name, value) };
  const req = { headers: {}, socket: { remoteAddress: '192.0.2.1' } };
  for (let i = 0; i < fields; i += 1) {
    const call = {
      getType: () => 'graphql',
      getArgs: () => [null, null, { req, res }, null],
      getClass: () => Fields,
      getHandler: () => () => Fields.prototype.book(),
    };
    await routes.check(call, 'before-auth', () => [{ name: nameOf(i), limit: 1_000 - i, window: '1d' }]);
  }
  return headers;
}

it('tells of a limit once, however many fields of one request it counts', async () => {
  const headers = await headersAfter(400, () => 'book');
  expect(headers.get('RateLimit')).toMatch(/^"book";r=\d+;t=\d+$/u);
  expect(headers.get('RateLimit-Policy')).toBe('"book";q=601;w=86400');
});

it('tells of no more limits than have room in headers, and of those that leave least', async () => {
  const headers = await headersAfter(100, (i) => `field.${i}`);
  const told = headers.get('RateLimit')?.split(', ') ?? [];
  expect(told).toHaveLength(16);
  expect(told.at(-1)).toMatch(/^"field\.99";r=900;/u);
  expect(headers.get('RateLimit-Policy')?.split(', ')).toHaveLength(16);
});
