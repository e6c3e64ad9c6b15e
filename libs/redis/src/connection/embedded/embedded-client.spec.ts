/** The embedded client as its callers see it. */
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import { systemClock } from '../../core/index.js';
import { CommandRefusedError, ConnectionClosedError, RedisReplyError } from '../connection.errors.js';
import type { Message, Reply } from '../redis-client.js';
import { defineScript, type ScriptKeyspace } from '../script.js';
import { createEmbeddedClient } from './embedded-client.js';

function create() {
  const clock = new FakeClock();
  const client = createEmbeddedClient({ name: 'test', maxEntries: 1_000, maxBytes: 10_000_000, clock });
  return { clock, client };
}

function script(twin: (keyspace: ScriptKeyspace) => Reply, readOnly = false) {
  return defineScript({
    name: 'test.step',
    lua: 'return 1',
    args: () => [],
    decode: (reply: Reply): Reply => reply,
    twin,
    readOnly,
  });
}

describe('a command', () => {
  it('takes effect at once and is answered later', async () => {
    const { client } = create();
    const answers: string[] = [];
    const first = client.command('SET', ['key', 'value']).then(() => answers.push('set'));
    const second = client.command('GET', ['key']).then((value) => answers.push(String(value)));
    expect(answers).toEqual([]);
    await Promise.all([first, second]);
    expect(answers).toEqual(['set', 'value']);
  });

  it('answers in text or in bytes', async () => {
    const { client } = create();
    const raw = Buffer.from([0x00, 0xff, 0x80]);
    await client.command('SET', ['key', raw]);
    await client.command('SET', ['text', 'значение']);
    expect(await client.command('GET', ['key'], { reply: 'bytes' })).toEqual(raw);
    expect(await client.command('GET', ['key'])).toBe('\u0000\ufffd\ufffd');
    expect(await client.command('MGET', ['text', 'none'])).toEqual(['значение', null]);
    expect(await client.command('PING', [], { reply: 'bytes' })).toEqual(Buffer.from('PONG'));
  });

  it('keeps what it was given and gives what can not be used to change it', async () => {
    const { client } = create();
    const given = Buffer.from('value');
    await client.command('SET', ['key', given]);
    given.fill('x');
    const taken = await client.command<Buffer>('GET', ['key'], { reply: 'bytes' });
    taken.fill('y');
    expect(await client.command('GET', ['key'])).toBe('value');
  });

  it('fails as Redis does, with the command in front and without its arguments', async () => {
    const { client } = create();
    await client.command('LPUSH', ['key', 'secret']);
    const wrong = await client.command('GET', ['key']).catch((error: unknown) => error);
    expect(wrong).toBeInstanceOf(RedisReplyError);
    expect(wrong).toMatchObject({
      kind: 'WRONGTYPE',
      message: 'GET: WRONGTYPE Operation against a key holding the wrong kind of value',
    });
    const unknown = await client.command('NOSUCH', ['secret']).catch((error: unknown) => error);
    expect(unknown).toMatchObject({ kind: 'ERR', message: "ERR unknown command 'NOSUCH'" });
    await expect(client.command('get', [])).rejects.toThrow(
      "ERR wrong number of arguments for 'get' command",
    );
  });

  it('refuses what a shared connection refuses', async () => {
    const { client } = create();
    await expect(client.command('FLUSHALL', [])).rejects.toBeInstanceOf(CommandRefusedError);
  });

  it('is not run when its signal was aborted before', async () => {
    const { client } = create();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(client.command('SET', ['key', '1'], { signal })).rejects.toThrow('enough');
    expect(await client.command('EXISTS', ['key'])).toBe(0);
  });
});

describe('a pipeline', () => {
  it('has one outcome per command', async () => {
    const { client } = create();
    const outcomes = await client.pipeline([
      { name: 'SET', args: ['key', 'x'] },
      { name: 'INCR', args: ['key'] },
      { name: 'GET', args: ['key'] },
    ]);
    expect(outcomes).toMatchObject([
      { ok: true, value: 'OK' },
      { ok: false, error: { kind: 'ERR' } },
      { ok: true, value: 'x' },
    ]);
  });
});

describe('a script', () => {
  it('sees bytes, answers bytes, and is decoded', async () => {
    const { client } = create();
    const step = script((keyspace) => {
      const status = keyspace.call('SET', 'key', 'value');
      return [status === 'OK' ? 'yes' : 'no', keyspace.call('GET', 'key'), 7, null];
    });
    expect(await client.run(step, [], undefined)).toEqual([
      Buffer.from('yes'),
      Buffer.from('value'),
      7,
      null,
    ]);
  });

  it('leaves what it wrote before it threw, as Lua does', async () => {
    const { client } = create();
    const step = script((keyspace) => {
      keyspace.call('SET', 'key', 'written');
      throw new Error('a fault of the twin');
    });
    await expect(client.run(step, [], undefined)).rejects.toThrow('a fault of the twin');
    expect(await client.command('GET', ['key'])).toBe('written');
  });

  it('gets errors thrown, and may go on', async () => {
    const { client } = create();
    const step = script((keyspace) => {
      keyspace.call('SET', 'key', 'x');
      try {
        keyspace.call('INCR', 'key');
      } catch {
        return 'caught';
      }
      return 'missed';
    });
    expect(await client.run(step, [], undefined)).toEqual(Buffer.from('caught'));
  });

  it('has time stand still', async () => {
    let now = 0;
    const clock = { ...systemClock, now: () => now };
    const client = createEmbeddedClient({ name: 'test', maxEntries: 10, maxBytes: 1_000_000, clock });
    await client.command('SET', ['key', 'value', 'PX', 10]);
    const step = script((keyspace) => {
      const before = keyspace.timeMicros();
      now += 1_000;
      return [keyspace.timeMicros() - before, keyspace.call('EXISTS', 'key')];
    });
    expect(await client.run(step, [], undefined)).toEqual([0, 1]);
    expect(await client.command('EXISTS', ['key'])).toBe(0);
  });

  it('is not evicted from under its feet', async () => {
    const client = createEmbeddedClient({ name: 'small', maxEntries: 2, maxBytes: 1_000_000 });
    await client.command('SET', ['first', '1', 'EX', 60]);
    const step = script((keyspace) => {
      for (const key of ['a', 'b', 'c']) keyspace.call('SET', key, '1', 'EX', 60);
      return keyspace.call('GET', 'first');
    });
    expect(await client.run(step, [], undefined)).toEqual(Buffer.from('1'));
    expect(await client.command('DBSIZE', [])).toBe(2);
  });

  it('may not write when it says it only reads', async () => {
    const { client } = create();
    const step = script((keyspace) => keyspace.call('SET', 'key', '1'), true);
    await expect(client.run(step, [], undefined)).rejects.toThrow('Write commands are not allowed');
  });

  it('can not use its keyspace once it has returned', async () => {
    const { client } = create();
    let kept: ScriptKeyspace | undefined;
    const step = script((keyspace) => {
      kept = keyspace;
      return 1;
    });
    await client.run(step, [], undefined);
    expect(() => kept?.call('SET', 'key', '1')).toThrow('after it had returned');
  });
});

describe('publish and subscribe', () => {
  it('reaches channels and patterns after the publisher has gone on', async () => {
    const { client } = create();
    const messages: Message[] = [];
    const subscription = client.subscribe({
      channels: ['news'],
      patterns: ['n*', 'other:*'],
      onMessage: (message) => messages.push(message),
    });
    await subscription.ready;
    const published = client.command('PUBLISH', ['news', Buffer.from([1, 2])]);
    expect(messages).toEqual([]);
    expect(await published).toBe(2);
    expect(messages).toEqual([
      { channel: 'news', payload: Buffer.from([1, 2]) },
      { channel: 'news', pattern: 'n*', payload: Buffer.from([1, 2]) },
    ]);
    await subscription.close();
    expect(await client.command('PUBLISH', ['news', 'x'])).toBe(0);
  });

  it('is not hurt by a listener that throws or changes its payload', async () => {
    const { client } = create();
    const payloads: string[] = [];
    client.subscribe({
      channels: ['news'],
      onMessage: ({ payload }) => {
        payload.fill('x');
        throw new Error('a fault of the listener');
      },
    });
    client.subscribe({ channels: ['news'], onMessage: ({ payload }) => payloads.push(payload.toString()) });
    await client.command('PUBLISH', ['news', 'intact']);
    expect(payloads).toEqual(['intact']);
  });

  it('delivers nothing after close, not even what was already published', async () => {
    const { client } = create();
    const messages: Message[] = [];
    const subscription = client.subscribe({
      channels: ['news'],
      onMessage: (message) => messages.push(message),
    });
    const published = client.command('PUBLISH', ['news', 'x']);
    const closed = subscription.close();
    await Promise.all([published, closed]);
    expect(messages).toEqual([]);
  });
});

describe('scan', () => {
  it('yields batches that match', async () => {
    const { client } = create();
    for (let i = 0; i < 20; i += 1) await client.command('SET', [`a:${i}`, '']);
    await client.command('HSET', ['a:hash', 'f', 'v']);
    await client.command('SET', ['b', '']);
    const keys: string[] = [];
    for await (const batch of client.scan({ match: 'a:*', count: 3, type: 'string' })) keys.push(...batch);
    expect(keys).toHaveLength(20);
  });

  it('stops when its signal aborts', async () => {
    const { client } = create();
    for (let i = 0; i < 20; i += 1) await client.command('SET', [`a:${i}`, '']);
    const controller = new AbortController();
    const scanning = (async () => {
      for await (const batch of client.scan({ count: 3, signal: controller.signal })) {
        if (batch.length > 0) controller.abort(new Error('enough'));
      }
    })();
    await expect(scanning).rejects.toThrow('enough');
  });
});

describe('its life', () => {
  it('is usable at once, connects and disconnects any number of times', async () => {
    const { client, clock } = create();
    const events: string[] = [];
    client.on('ready', ({ node }) => events.push(node));
    expect(client.status()).toMatchObject({ health: 'up', topology: 'embedded' });
    await client.connect();
    await client.connect();
    await client.command('SET', ['key', '1', 'EX', 60]);
    await client.disconnect();
    await client.disconnect();
    expect(client.status()).toMatchObject({ health: 'down', nodes: [{ node: 'embedded', state: 'closed' }] });
    expect(clock.pendingTimers).toBe(0);
    expect(events).toEqual(['embedded']);
  });

  it('rejects every call after disconnect, for good', async () => {
    const { client } = create();
    await client.disconnect();
    const one = script(() => 1);
    const calls = [
      () => client.connect(),
      () => client.command('GET', ['key']),
      () => client.run(one, [], undefined),
      () => client.subscribe({ channels: ['news'], onMessage: () => undefined }).ready,
    ];
    for (const call of calls) await expect(call()).rejects.toBeInstanceOf(ConnectionClosedError);
    const [outcome] = await client.pipeline([{ name: 'GET', args: ['key'] }]);
    expect(outcome).toMatchObject({ ok: false, error: { code: 'CONNECTION_CLOSED' } });
  });
});
