import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { takeOver } from './exchange.js';
import { LiveStream } from './live-stream.js';

const FIRST = { id: 'a.1.0', name: 'step', data: { text: 'two\nlines' } };

async function open(
  most: number,
): Promise<{ live: LiveStream; clock: FakeClock; connect: () => Promise<Reader> }> {
  const clock = new FakeClock();
  const live = new LiveStream({ most, clock });
  const server = createServer((request, response) => live.add(takeOver(request, response), FIRST));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    live.close();
    server.closeAllConnections();
    server.close();
  });
  return { live, clock, connect: () => read(port) };
}

interface Reader {
  readonly response: IncomingMessage;
  has(text: string): Promise<void>;
}

async function read(port: number): Promise<Reader> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, resolve).once('error', reject);
  });
  let text = '';
  let wake = (): void => undefined;
  response.setEncoding('utf8');
  response.on('data', (part: string) => {
    text += part;
    wake();
  });
  response.on('error', () => undefined);
  return {
    response,
    async has(wanted) {
      while (!text.includes(wanted)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

it('an event is one line of data, whatever stands in it', async () => {
  const { connect } = await open(2);
  const reader = await connect();
  await reader.has('retry: 3000\nid: a.1.0\nevent: step\ndata: {"text":"two\\nlines"}\n\n');
});

it('a heart beats every 15 s, while somebody is there', async () => {
  const { live, clock, connect } = await open(2);
  const reader = await connect();
  clock.advance(15_000);
  await reader.has(': still here\n\n');
  expect(clock.pendingTimers).toBe(1);
  reader.response.destroy();
  while (live.size > 0) await new Promise(setImmediate);
  expect(clock.pendingTimers).toBe(0);
});

it('all get the same, until there is no room, and everything ends at the end', async () => {
  const { live, clock, connect } = await open(2);
  const [one, two] = [await connect(), await connect()];
  live.send({ id: 'a.2.0', name: 'step', data: { n: 2 } });
  await Promise.all([one.has('data: {"n":2}'), two.has('data: {"n":2}')]);
  const three = await connect();
  expect(three.response.statusCode).toBe(503);
  await three.has('TOO_MANY_STREAMS');
  const ended = new Promise((resolve) => {
    one.response.once('end', resolve);
  });
  live.close();
  await ended;
  expect([live.size, clock.pendingTimers]).toEqual([0, 0]);
  expect((await connect()).response.statusCode).toBe(503);
});
