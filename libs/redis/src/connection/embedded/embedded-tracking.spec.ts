import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import { createEmbeddedClient } from './embedded-client.js';

function open() {
  const clock = new FakeClock();
  const client = createEmbeddedClient({ name: 'test', maxEntries: 3, maxBytes: 1e6, clock });
  const heard: string[] = [];
  const tracking = client.track({
    prefixes: ['a:', 'a:deeper:'],
    onInvalidate: (keys) => void heard.push(...(keys === 'all' ? ['all'] : keys)),
    onState: (state) => void heard.push(state),
  });
  const during = async (name: string, ...args: (string | number)[]): Promise<string[]> => {
    heard.length = 0;
    const done = client.command(name, args);
    // Before anybody can have awaited the answer.
    const atOnce = [...new Set(heard)];
    await done;
    return atOnce;
  };
  return { clock, client, heard, tracking, during };
}

describe('tracking of the embedded keyspace', () => {
  it.each<[string, string[][], string[]]>([
    ['SET', [['a:1', 'x']], ['a:1']],
    ['SET', [['b:1', 'x']], []],
    ['DEL', [['a:s', 'a:absent', 'b:s']], ['a:s']],
    ['RENAME', [['a:s', 'a:t']], ['a:s', 'a:t']],
    ['EXPIRE', [['a:s', '100']], ['a:s']],
    ['INCR', [['a:deeper:n']], ['a:deeper:n']],
    ['HSET', [['a:h', 'f', 'v']], ['a:h']],
    ['SADD', [['a:set', 'm']], ['a:set']],
    ['LPUSH', [['a:list', 'm']], ['a:list']],
    ['GET', [['a:s']], []],
    ['SET', [['a:ключ,{x}', 'x']], ['a:ключ,{x}']],
  ])('%s %j tells of %j', async (name, [args = []], told) => {
    const { client, during } = open();
    await client.command('SET', ['a:s', 'x']);
    expect(await during(name, ...args)).toEqual(told);
  });

  it('tells of a collection that is emptied', async () => {
    const { client, during } = open();
    await client.command('SADD', ['a:set', 'm']);
    expect(await during('SREM', 'a:set', 'm')).toEqual(['a:set']);
  });

  it('tells of expiry when it is found out, and of eviction', async () => {
    const { clock, client, heard, during } = open();
    await client.command('SET', ['a:1', 'x', 'PX', 50]);
    clock.advance(1_000);
    expect(heard).toEqual(['a:1', 'a:1']);
    await client.command('SET', ['a:2', 'x', 'EX', 100]);
    await client.command('MSET', ['b:1', 'x', 'b:2', 'x']);
    expect(await during('SET', 'b:3', 'x')).toEqual(['a:2']);
  });

  it('ends when it is closed, and is lost with its client', async () => {
    const { client, heard, tracking } = open();
    const other = client.track({
      prefixes: ['a:'],
      onInvalidate: () => {
        throw new Error('a listener of its own mind');
      },
      onState: () => undefined,
    });
    await expect(client.command('SET', ['a:1', 'x'])).resolves.toBe('OK');
    await other.close();
    expect(other.state).toBe('lost');
    expect(tracking.state).toBe('tracking');
    heard.length = 0;
    await client.disconnect();
    expect(heard).toEqual(['lost']);
    expect(tracking.state).toBe('lost');
  });
});
