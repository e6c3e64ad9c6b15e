/** Headers that a handler on Express hands to `writeHead`: neither its cookies nor that of the session are lost. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { expressSessions, type HttpSession } from '@anbar/nestjs-redis/session';

type Answer = (response: ServerResponse, session: HttpSession) => void;

/** As Express does it, a header is set before anybody else has a say; `plain` is Node by itself. */
async function cookiesOf(kind: 'Express' | 'plain', answer: Answer): Promise<string[]> {
  const redis = createRedis({ topology: 'embedded' }, {});
  const sessions = expressSessions(redis.sessions);
  const server = createServer((request: IncomingMessage, response) => {
    if (kind === 'Express') response.setHeader('X-Powered-By', 'Express');
    sessions(request, response, () => answer(response, Reflect.get(request, 'session') as HttpSession));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await redis.disconnect();
  });
  const { port } = server.address() as AddressInfo;
  const reply = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) });
  expect([reply.status, reply.headers.get('x-own')]).toEqual([200, 'kept']);
  await reply.text();
  return reply.headers
    .getSetCookie()
    .map((cookie) => cookie.replace(/^(sid=).*/u, '$1'))
    .toSorted();
}

const HEADS: readonly (readonly [string, number, unknown])[] = [
  ['an object', 1, { 'set-cookie': 'a=1', 'x-own': 'kept' }],
  ['an object in capitals', 1, { 'SET-COOKIE': 'a=1', 'X-Own': 'kept' }],
  ['an object with two', 2, { 'set-cookie': ['a=1', 'b=2'], 'x-own': 'kept' }],
  ['an object with none', 0, { 'x-own': 'kept' }],
  ['a flat array', 1, ['Set-Cookie', 'a=1', 'X-Own', 'kept']],
  ['a flat array with two', 2, ['set-cookie', 'a=1', 'x-own', 'kept', 'Set-Cookie', 'b=2']],
  ['a flat array with two in one', 2, ['x-own', 'kept', 'set-cookie', ['a=1', 'b=2']]],
  ['a flat array with none', 0, ['X-Own', 'kept']],
];

describe.each(['Express', 'plain'] as const)('on %s', (kind) => {
  it.each(HEADS)('with %s', async (_, own, head) => {
    const expected = ['a=1', 'b=2'].slice(0, own);
    const given = head as Record<string, string>;
    const before = structuredClone(head);
    const withText = await cookiesOf(kind, (response, session) => {
      session.data['count'] = 1;
      response.writeHead(200, 'Fine', given);
      response.end('done');
    });
    expect(withText).toEqual([...expected, 'sid=']);
    const afterLogin = await cookiesOf(kind, (response, session) => {
      void session.login('ada').then(() => response.writeHead(200, given).end());
    });
    expect(afterLogin).toEqual([...expected, 'sid=']);
    expect(given).toEqual(before);
  });
});

it.each([1, 0])(
  'with an array of pairs, which Node takes where no header is set before (%i)',
  async (own) => {
    const expected = ['a=1'].slice(0, own);
    const pairs = [...expected.map((cookie) => ['set-cookie', cookie]), ['x-own', 'kept']];
    const cookies = await cookiesOf('plain', (response, session) => {
      session.data['count'] = 1;
      response.writeHead(200, pairs as unknown as string[]).end();
    });
    expect(cookies).toEqual([...expected, 'sid=']);
  },
);
