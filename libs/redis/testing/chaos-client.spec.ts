import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CommandTimeoutError,
  createClient,
  NotConnectedError,
  resolveConnection,
  type RedisClient,
} from '../src/connection/index.js';
import { createChaosClient, type ChaosClient } from './chaos-client.js';
import { runContract } from './contract/contract.js';
import { redisClientContract } from './contract/redis-client.contract.js';
import { FakeClock } from './fake-clock.js';

const embedded = (): RedisClient => createClient(resolveConnection('c', { topology: 'embedded' }, []));

let inner: RedisClient;
let clock: FakeClock;
let chaos: ChaosClient;
let draws: number[];

beforeEach(() => {
  inner = embedded();
  clock = new FakeClock();
  draws = [];
  chaos = createChaosClient(inner, { clock, random: () => draws.shift() ?? 0.999 });
});

afterEach(() => inner.disconnect());

describe('a failing client', () => {
  it('fails every call with the error it was given, and executes none', async () => {
    const error = new Error('storm');
    chaos.fail(error);
    await expect(chaos.command('SET', ['k', 'v'])).rejects.toBe(error);
    await expect(chaos.pipeline([{ name: 'SET', args: ['k', 'v'] }])).resolves.toEqual([
      { ok: false, error },
    ]);
    chaos.heal();
    expect(await chaos.command('EXISTS', ['k'])).toBe(0);
  });

  it('fails the share it was told, command by command', async () => {
    chaos.fail(new Error('storm'), 0.5);
    draws = [0.4, 0.6, 0.49, 0.5];
    const outcomes = await chaos.pipeline(['a', 'b', 'c', 'd'].map((key) => ({ name: 'INCR', args: [key] })));
    expect(outcomes.map(({ ok }) => ok)).toEqual([false, true, false, true]);
    expect(await inner.command('EXISTS', ['a', 'b', 'c', 'd'])).toBe(2);
  });

  it('refuses a share that is none', () => {
    expect(() => chaos.fail(new Error('x'), 1.5)).toThrow('1.5 is not between 0 and 1');
    expect(() => chaos.latency(NaN)).toThrow('NaN');
  });
});

describe('a slow client', () => {
  it('passes calls on late', async () => {
    chaos.latency(100);
    const call = chaos.command('SET', ['k', 'v']);
    await clock.advanceAsync(99);
    expect(await inner.command('GET', ['k'])).toBeNull();
    await clock.advanceAsync(1);
    await expect(call).resolves.toBe('OK');
  });

  it('lets those run into their deadline who have too little time', async () => {
    chaos.latency(300);
    const calls = [chaos.command('GET', ['k']), chaos.command('GET', ['k'], { timeout: '400ms' })];
    const outcomes = Promise.allSettled(calls);
    await clock.advanceAsync(300);
    const [first, second] = await outcomes;
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'COMMAND_TIMEOUT' } });
    expect(second).toEqual({ status: 'fulfilled', value: null });
  });

  it('lets a signal end the wait', async () => {
    chaos.latency(200);
    const controller = new AbortController();
    const call = chaos.command('SET', ['k', 'v'], { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a partitioned client', () => {
  it('answers nothing until the deadline, and executes nothing', async () => {
    chaos.partition();
    const call = chaos.command('SET', ['k', 'v']).catch((error: unknown) => error);
    await clock.advanceAsync(250);
    expect(await call).toMatchObject({ code: 'COMMAND_TIMEOUT', executed: 'no' });
    expect(await inner.command('EXISTS', ['k'])).toBe(0);
  });

  it('keeps messages back, and tells listeners of the gap when it heals', async () => {
    const heard: string[] = [];
    const subscription = chaos.subscribe({
      channels: ['c'],
      onMessage: ({ payload }) => void heard.push(payload.toString()),
      onGap: () => void heard.push('gap'),
    });
    await inner.command('PUBLISH', ['c', '1']);
    chaos.partition();
    await inner.command('PUBLISH', ['c', 'lost']);
    chaos.heal();
    await inner.command('PUBLISH', ['c', '2']);
    expect(heard).toEqual(['1', 'gap', '2']);
    await subscription.close();
    chaos.partition();
    chaos.heal();
    expect(heard).toHaveLength(3);
  });

  it('says down, and tells those who listen for losses', () => {
    const lost: string[] = [];
    const stop = chaos.on('lost', ({ reason }) => void lost.push(reason));
    chaos.partition();
    expect(chaos.status().health).toBe('down');
    stop();
    chaos.heal();
    chaos.partition();
    expect(lost).toEqual(['partitioned']);
  });
});

describe('the end of an outage', () => {
  it.each<[string, () => void]>([
    ['a partition', () => chaos.partition()],
    ['a lost connection', () => chaos.fail(new NotConnectedError('gone'))],
  ])('after %s is told once, also when other weather follows', (_name, strike) => {
    const heard: string[] = [];
    chaos.on('lost', ({ node }) => void heard.push(`lost ${node}`));
    chaos.on('ready', ({ node }) => void heard.push(`ready ${node}`));
    const leave = chaos.on('ready', () => void heard.push('left'));
    leave();
    strike();
    strike();
    expect(chaos.status().health).toBe('down');
    chaos.latency(10);
    chaos.heal();
    expect(heard).toEqual(['lost chaos', 'ready chaos']);
    expect(chaos.status().health).toBe('up');
  });

  it('is nothing to tell of where calls fail and the connection stands', () => {
    const heard: string[] = [];
    for (const event of ['lost', 'ready'] as const) chaos.on(event, () => void heard.push(event));
    for (const [error, share] of [
      [new NotConnectedError('gone'), 0.5],
      [new CommandTimeoutError('late'), 1],
    ] as const) {
      chaos.fail(error, share);
      chaos.heal();
    }
    expect(heard).toEqual([]);
  });

  it('refuses to connect before it', async () => {
    chaos.partition();
    await expect(chaos.connect()).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    chaos.heal();
    await expect(chaos.connect()).resolves.toBeUndefined();
  });
});

// In fair weather nobody can tell it from the client below.
runContract(
  redisClientContract,
  {
    name: 'chaos in fair weather',
    create: () => Promise.resolve(createChaosClient(embedded())),
    dispose: (client) => client.disconnect(),
  },
  { describe, it, after: afterAll },
);
