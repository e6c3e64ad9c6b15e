import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { admin, encodeCommand, infoFields, parseReply } from './admin.js';
import { startFaultProxy, type FaultProxy } from './fault-proxy.js';
import { reservePort } from './free-port.js';
import { startStandalone, type Standalone } from './standalone.js';
import { until } from './until.js';

/** A raw socket that remembers what happened to it. */
class RawClient {
  received: Buffer = Buffer.alloc(0);
  chunks = 0;
  ended = false;
  error: string | undefined;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.chunks += 1;
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
  }

  send(...args: (string | number | Buffer)[]): void {
    this.socket.write(encodeCommand(args));
  }

  get text(): string {
    return this.received.toString();
  }

  /** Sends, and resolves with the first reply not yet asked for. */
  async ask(...args: (string | number | Buffer)[]): Promise<unknown> {
    this.send(...args);
    const { value, next } = await until(() => parseReply(this.received), {
      what: `a reply to ${String(args[0])}`,
    });
    this.received = this.received.subarray(next);
    return value;
  }
}

let server: Standalone;
let proxy: FaultProxy;

function client(): RawClient {
  const raw = new RawClient(proxy.port);
  onTestFinished(() => void raw.socket.destroy());
  return raw;
}

const value = (key: string) => server.process.admin('GET', key);
const reset = (raw: RawClient) => until(() => raw.error === 'ECONNRESET', { what: 'a reset' });

/** Long enough for anything on loopback to have arrived, had it been sent. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 60));

beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.process.admin('FLUSHALL');
  proxy = await startFaultProxy({ to: server, seed: 42 });
});
afterEach(() => proxy.stop());

describe('pass', () => {
  it('hands everything on and counts connections, bytes and commands', async () => {
    const raw = client();
    expect(await raw.ask('SET', 'k', 'v')).toBe('OK');
    expect(await raw.ask('get', 'k')).toBe('v');
    expect(await admin(proxy.port, 'GET', 'k')).toBe('v');
    expect(proxy.stats).toMatchObject({ connections: 2, toClient: 5 + 7 + 7, commands: { SET: 1, GET: 2 } });
    expect(proxy.count('get')).toBe(2);
    proxy.resetStats();
    expect(proxy.stats).toMatchObject({ connections: 0, toServer: 0, toClient: 0, commands: {} });
  });

  it('carries 20 MB both ways unharmed, past every buffer', async () => {
    const big = Buffer.alloc(20_000_000, 'anbar');
    const raw = client();
    expect(await raw.ask('SET', 'big', big)).toBe('OK');
    raw.send('GET', 'big');
    await until(() => raw.received.length === big.length + 13, { what: 'the reply' });
    const digest = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');
    expect(digest(raw.received.subarray(11, -2))).toBe(digest(big));
  });

  it('ends the connection on one side when the other ends it', async () => {
    const raw = client();
    await raw.ask('PING');
    raw.socket.end(encodeCommand(['ECHO', 'last']));
    await until(() => raw.ended, { what: 'the end' });
    expect(raw.text).toBe('$4\r\nlast\r\n');
    await until(() => proxy.stats.open === 0, { what: 'the link to close' });
  });

  it('resets the client when the server is not there', async () => {
    const nobody = await reservePort();
    const lonely = await startFaultProxy({ to: nobody });
    const raw = new RawClient(lonely.port);
    await reset(raw);
    await lonely.stop();
    nobody.release();
  });
});

describe('latency', () => {
  it('lengthens a round trip, not each command of a pipeline', async () => {
    proxy.latency(80);
    const raw = client();
    const start = performance.now();
    for (let index = 0; index < 10; index += 1) raw.send('ECHO', index);
    await until(() => raw.text.endsWith('9\r\n'), { what: 'the last reply', every: 1 });
    const took = performance.now() - start;
    expect(took).toBeGreaterThanOrEqual(78);
    expect(took).toBeLessThan(400);
  });

  it('keeps the order under jitter', async () => {
    proxy.latency(0, 40);
    const raw = client();
    for (let index = 0; index < 20; index += 1) {
      raw.send('ECHO', String(index).padStart(2, '0'));
      await new Promise(setImmediate);
    }
    await until(() => raw.text.endsWith('19\r\n'), { what: 'the last reply' });
    const order = raw.text.split('\r\n').filter((_, index) => index % 2 === 1);
    expect(order.map(Number)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });
});

describe('blackhole', () => {
  it('to the client: the command is done, its reply waits', async () => {
    const raw = client();
    await raw.ask('PING');
    proxy.blackhole('toClient');
    raw.send('INCR', 'n');
    await until(async () => (await value('n')) === '1', { what: 'the command to be done' });
    await quiet();
    expect(raw.text).toBe('');
    await proxy.pass();
    await until(() => raw.text === ':1\r\n', { what: 'the reply' });
  });

  it('to the server: the command is done late, after the link heals', async () => {
    const raw = client();
    await raw.ask('PING');
    proxy.blackhole('toServer');
    raw.send('INCR', 'n');
    await quiet();
    expect(await value('n')).toBeNull();
    expect(proxy.count('INCR')).toBe(0);
    await proxy.pass();
    await until(() => raw.text === ':1\r\n', { what: 'the reply' });
  });

  it('both ways: new connections open and stay silent', async () => {
    proxy.blackhole('both');
    const raw = client();
    raw.send('INCR', 'n');
    await once(raw.socket, 'connect');
    await quiet();
    expect([raw.text, raw.ended, raw.error, await value('n')]).toEqual(['', false, undefined, null]);
    await proxy.pass();
    await until(() => raw.text === ':1\r\n', { what: 'the reply' });
  });
});

describe('swallow', () => {
  it('drops exactly the next reply', async () => {
    const raw = client();
    proxy.swallow();
    for (const word of ['a', 'b', 'c']) raw.send('ECHO', word);
    await until(() => raw.text.endsWith('c\r\n'), { what: 'the last reply' });
    expect(raw.text).toBe('$1\r\nb\r\n$1\r\nc\r\n');
    expect(proxy.count('ECHO')).toBe(3);
  });

  it('drops several, large ones and arrays too', async () => {
    await server.process.admin('SET', 'big', 'x'.repeat(300_000));
    const raw = client();
    proxy.swallow(2);
    raw.send('GET', 'big');
    raw.send('MGET', 'big', 'nothing');
    raw.send('ECHO', 'here');
    await until(() => raw.text.endsWith('here\r\n'), { what: 'the last reply' });
    expect(raw.text).toBe('$4\r\nhere\r\n');
  });

  it('leaves RESP3 push messages alone', async () => {
    const raw = client();
    raw.send('HELLO', 3);
    raw.send('SUBSCRIBE', 'news');
    await until(() => raw.text.includes('subscribe\r\n'), { what: 'the subscription' });
    raw.received = Buffer.alloc(0);
    proxy.swallow();
    raw.send('PUBLISH', 'news', 'x');
    raw.send('ECHO', 'end');
    await until(() => raw.text.includes('end\r\n') && raw.text.includes('message\r\n'), { what: 'both' });
    expect(raw.text).not.toContain(':1\r\n');
  });

  it('with a reset: the command is done, the connection is gone', async () => {
    const raw = client();
    await raw.ask('PING');
    proxy.swallowThenReset();
    raw.send('INCR', 'n');
    await reset(raw);
    expect([raw.text, await value('n')]).toEqual(['', '1']);
    expect(await client().ask('INCR', 'n')).toBe(2);
  });
});

describe('cut', () => {
  it.each(['rst', 'fin'] as const)('ends a reply in its middle with %s', async (end) => {
    const raw = client();
    await raw.ask('PING');
    proxy.cut(6, end);
    raw.send('ECHO', 'hello');
    await until(() => (end === 'rst' ? raw.error === 'ECONNRESET' : raw.ended), { what: end });
    expect(raw.text).toBe('$5\r\nhe');
    expect(await client().ask('ECHO', 'hello')).toBe('hello');
  });
});

describe('rst and half-open', () => {
  it('resets open connections and no later one', async () => {
    const raw = client();
    await raw.ask('PING');
    proxy.rst();
    await reset(raw);
    expect(await client().ask('PING')).toBe('PONG');
  });

  it('lets the server end go while the client keeps a dead connection', async () => {
    const raw = client();
    await raw.ask('PING');
    const connected = async () => Number(infoFields(await server.process.admin('INFO'))['connected_clients']);
    const before = await connected();
    proxy.halfOpen();
    await until(async () => (await connected()) === before - 1, { what: 'the server to lose its client' });
    raw.send('INCR', 'n');
    await quiet();
    expect([raw.text, raw.ended, raw.error, await value('n')]).toEqual(['', false, undefined, null]);
    expect(await client().ask('PING')).toBe('PONG');
  });
});

describe('slice', () => {
  it('hands bytes on a few at a time', async () => {
    const raw = client();
    await raw.ask('PING');
    raw.chunks = 0;
    proxy.slice(1, 3);
    const start = performance.now();
    expect(await raw.ask('ECHO', 'hello')).toBe('hello');
    // 25 bytes there and 11 back, 3 ms apart.
    expect(performance.now() - start).toBeGreaterThan(100);
    expect(raw.chunks).toBeGreaterThan(5);
  });
});

describe('limit', () => {
  it('resets on one command that is too long', async () => {
    proxy.limit(1000);
    const raw = client();
    for (let index = 0; index < 20; index += 1) expect(await raw.ask('SET', 'k', 'x'.repeat(800))).toBe('OK');
    raw.send('SET', 'k', 'x'.repeat(1001));
    await reset(raw);
  });

  it('resets on too much in total', async () => {
    proxy.limit(1000, 'total');
    const raw = client();
    expect(await raw.ask('SET', 'k', 'x'.repeat(800))).toBe('OK');
    raw.send('SET', 'k', 'x'.repeat(800));
    await reset(raw);
  });
});

describe('at the door', () => {
  it('accepts, then closes', async () => {
    proxy.acceptThenClose();
    const raw = client();
    await until(() => raw.ended, { what: 'the end' });
    expect([raw.text, proxy.stats.connections, proxy.stats.open]).toEqual(['', 1, 0]);
  });

  it('refuses new connections, keeps old ones, and listens again', async () => {
    const old = client();
    await old.ask('PING');
    await proxy.refuse();
    const refused = client();
    await until(() => refused.error === 'ECONNREFUSED', { what: 'a refusal' });
    expect(await old.ask('PING')).toBe('PONG');
    await proxy.pass();
    expect(await client().ask('PING')).toBe('PONG');
  });
});

describe('command line', () => {
  it('takes faults from standard input', async () => {
    const script = fileURLToPath(new URL('fault-proxy.mjs', import.meta.url));
    const reservation = await reservePort();
    const { port } = reservation;
    const child = spawn(process.execPath, [script, String(server.port), String(port)]);
    const ended = once(child, 'exit');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    const tell = (line: string) => {
      child.stdin.write(`${line}\n`);
      return next();
    };
    expect(await next()).toContain(`listening on 127.0.0.1:${port}`);
    expect(await admin(port, 'PING')).toBe('PONG');
    expect(await tell('swallow-then-reset')).toBe('ok');
    await expect(admin(port, 'PING')).rejects.toThrow('ECONNRESET');
    expect(await tell('stats')).toContain('"commands":{"PING":2}');
    expect(await tell('latency soon')).toBe('latency: expected a whole number, not soon');
    expect(await tell('melt')).toContain('unknown command "melt"');
    child.stdin.end();
    expect(await ended).toEqual([0, null]);
    reservation.release();
  });
});
