import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { takeOver } from './exchange.js';
import { LiveStream } from './live-stream.js';

const FIRST = { id: 'a.1.0', name: 'step', data: { text: 'two\nlines' } };

/** What stands between a request and its stream. */
type Guard = (response: ServerResponse) => Promise<void>;

interface Opened {
  readonly live: LiveStream;
  readonly clock: FakeClock;
  readonly port: number;
  readonly connect: () => Promise<Reader>;
}

async function open(most: number, guard: Guard = () => Promise.resolve()): Promise<Opened> {
  const clock = new FakeClock();
  const live = new LiveStream({ most, clock });
  const server = createServer((request, response) => {
    void guard(response).then(() => live.add(takeOver(request, response), FIRST));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    live.close();
    server.closeAllConnections();
    server.close();
  });
  return { live, clock, port, connect: () => read(port) };
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

it('a page that goes while its guard is asked takes no room from others', async () => {
  let onAdded = (): void => undefined;
  const added = new Promise<void>((resolve) => {
    onAdded = resolve;
  });
  const guards: Guard[] = [
    async (response) => {
      impatient.destroy();
      await once(response, 'close');
      setImmediate(onAdded);
    },
  ];
  const { live, clock, port, connect } = await open(
    1,
    (response) => guards.shift()?.(response) ?? Promise.resolve(),
  );
  const impatient = get({ port, host: '127.0.0.1', agent: false }).once('error', () => undefined);
  await added;
  expect([live.size, clock.pendingTimers]).toEqual([0, 0]);
  expect((await connect()).response.statusCode).toBe(200);
});
