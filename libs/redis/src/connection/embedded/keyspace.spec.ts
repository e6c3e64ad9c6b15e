/** Expiry, eviction and scanning of the embedded keyspace, on a clock that stands still. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import type { Arg } from '../redis-client.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { toTextReply } from './engine-reply.js';

const WALL = Date.UTC(2026, 0, 1);
const ROOMY = { maxEntries: 10_000, maxBytes: 64 * 1024 * 1024 };

function start(limits = ROOMY) {
  const clock = new FakeClock({ wallMs: WALL });
  const engine = new EmbeddedEngine({ limits, clock, publish: () => 0 });
  const call = (name: string, ...args: Arg[]) => toTextReply(engine.execute(name, args));
  return { clock, engine, call };
}

function scanAll(
  call: (name: string, ...args: Arg[]) => unknown,
  between: () => void = () => undefined,
): string[] {
  const seen: string[] = [];
  let cursor = '0';
  do {
    const [next, keys] = call('SCAN', cursor, 'COUNT', 7) as [string, string[]];
    seen.push(...keys);
    cursor = next;
    between();
  } while (cursor !== '0');
  return seen;
}

describe('expiry', () => {
  it('ends a key one millisecond after its time, as Redis does', () => {
    const { clock, call } = start();
    call('SET', 'key', 'value', 'PX', 100);
    clock.advance(100);
    expect([call('GET', 'key'), call('PTTL', 'key')]).toEqual(['value', 0]);
    clock.advance(1);
    expect([call('GET', 'key'), call('PTTL', 'key'), call('EXISTS', 'key')]).toEqual([null, -2, 0]);
  });

  it('takes no notice of a wall clock that jumps', () => {
    const { clock, call } = start();
    call('SET', 'key', 'value', 'EX', 10);
    call('SET', 'at', 'value', 'PXAT', WALL + 10_000);
    clock.jumpWall(3_600_000);
    expect([call('PTTL', 'key'), call('PTTL', 'at')]).toEqual([10_000, 10_000]);
    clock.jumpWall(-7_200_000);
    clock.advance(10_001);
    expect([call('GET', 'key'), call('GET', 'at')]).toEqual([null, null]);
  });

  it('tells the time it reckons with', () => {
    const { clock, call } = start();
    clock.advance(1_500);
    expect(call('TIME')).toEqual([String(WALL / 1_000 + 1), '500000']);
  });

  it('removes what nobody reads any more, and then sleeps', () => {
    const { clock, engine, call } = start();
    for (let i = 0; i < 5_000; i += 1) call('SET', `key:${i}`, 'value', 'EX', 60);
    call('SET', 'kept', 'value');
    expect(clock.pendingTimers).toBe(1);
    clock.advance(62_000);
    expect(engine.keyspace.stats()).toMatchObject({ entries: 1, expired: 5_000 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('wakes earlier for an entry that expires earlier', () => {
    const { clock, engine, call } = start();
    call('SET', 'late', 'value', 'EX', 86_400);
    call('SET', 'soon', 'value', 'PX', 500);
    clock.advance(700);
    expect(engine.keyspace.stats().entries).toBe(1);
    clock.advance(86_400_000);
    expect(engine.keyspace.stats().entries).toBe(0);
  });

  it('keeps no timer after it was stopped', () => {
    const { clock, engine, call } = start();
    call('SET', 'key', 'value', 'PX', 500);
    engine.stop();
    expect(clock.pendingTimers).toBe(0);
    call('SET', 'other', 'value', 'PX', 500);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the bound on memory', () => {
  it('evicts what was used least recently among the entries with an expiry', () => {
    const { call } = start({ ...ROOMY, maxEntries: 4 });
    call('SET', 'forever', 'value');
    for (const key of ['a', 'b', 'c']) call('SET', key, 'value', 'EX', 60);
    call('GET', 'a');
    call('SET', 'd', 'value', 'EX', 60);
    call('SET', 'e', 'value', 'EX', 60);
    expect(scanAll(call).toSorted()).toEqual(['a', 'd', 'e', 'forever']);
  });

  it('refuses a write when nothing can be evicted, and still reads, deletes and overwrites', () => {
    const { call } = start({ ...ROOMY, maxEntries: 2 });
    call('SET', 'a', '1');
    call('RPUSH', 'b', '1');
    expect(() => call('SET', 'c', '1')).toThrow(/OOM command not allowed when used memory > 'maxmemory'/u);
    expect(() => call('MSET', 'a', '2', 'c', '1')).toThrow(/OOM/u);
    expect([call('GET', 'a'), call('SET', 'a', '2'), call('RPUSH', 'b', '2'), call('INCR', 'a')]).toEqual([
      '1',
      'OK',
      2,
      3,
    ]);
    expect([call('DEL', 'b'), call('SET', 'c', '1')]).toEqual([1, 'OK']);
  });

  it('holds for bytes too, and lets a value be replaced by one of its size', () => {
    const { engine, call } = start({ ...ROOMY, maxBytes: 100_000 });
    const value = 'x'.repeat(30_000);
    for (const key of ['a', 'b', 'c']) call('SET', key, value);
    expect(() => call('SET', 'd', value)).toThrow(/OOM/u);
    expect(() => call('APPEND', 'a', value)).toThrow(/OOM/u);
    expect(() => call('SETRANGE', 'a', 400_000_000, 'x')).toThrow(/OOM/u);
    expect(() => call('COPY', 'a', 'd')).toThrow(/OOM/u);
    expect(call('SET', 'b', 'y'.repeat(30_000))).toBe('OK');
    expect(engine.keyspace.stats().usedBytes).toBeLessThan(100_000);
  });

  it('never exceeds its limits while everything may be evicted', () => {
    const { engine, call } = start({ maxEntries: 50, maxBytes: 40_000 });
    for (let i = 0; i < 500; i += 1) {
      call('SET', `s${i}`, 'x'.repeat(i), 'EX', 60);
      const { entries, usedBytes } = engine.keyspace.stats();
      expect(entries <= 50 && usedBytes <= 40_000).toBe(true);
    }
  });

  it('is reckoned back to nothing when everything is gone', () => {
    const { engine, call } = start();
    call('SET', 's', 'x'.repeat(1_000), 'EX', 60);
    call('HSET', 'h', 'a', '1', 'b', '2');
    call('HSET', 'h', 'a', '1000');
    call('ZADD', 'z', 1, 'a', 2, 'b');
    call('SADD', 't', 'a', 'b');
    call('RPUSH', 'l', 'a', 'b', 'c');
    call('LREM', 'l', 1, 'b');
    call('LSET', 'l', 0, 'longer');
    call('RENAME', 's', 's2');
    call('COPY', 'h', 'h2');
    call('DEL', 's2', 'h', 'h2', 'z', 't', 'l');
    expect(engine.keyspace.stats()).toMatchObject({ entries: 0, usedBytes: 0 });
  });
});

describe('scanning', () => {
  it('sees every key that is there throughout, whatever else comes and goes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 300 }), (strangers) => {
        const { call } = start();
        for (let i = 0; i < 100; i += 1) {
          call('SET', `early:${i}`, '');
          call('SET', `stays:${i}`, '');
        }
        for (let i = 0; i < 100; i += 1) call('DEL', `early:${i}`);
        const queue = [...strangers];
        const seen = scanAll(call, () => {
          for (const number of queue.splice(0, 20)) {
            if (number % 2 === 0) call('SET', `guest:${number}`, '', 'PX', 5);
            else call('DEL', `guest:${number - 1}`);
            call('SET', `stays:${number % 100}`, 'changed');
          }
        });
        const stayed = new Set(seen.filter((key) => key.startsWith('stays:')));
        expect(stayed.size).toBe(100);
      }),
      { numRuns: 50 },
    );
  });
});

describe('keys', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])(
    'takes %j as it takes any other',
    (key) => {
      const { call } = start();
      expect([call('GET', key), call('SET', key, '1'), call('INCR', key)]).toEqual([null, 'OK', 2]);
      expect([call('HSET', `h${key}`, key, 'x'), call('HGETALL', `h${key}`)]).toEqual([1, [key, 'x']]);
      expect(Object.prototype).not.toHaveProperty('x');
    },
  );

  it('are bytes: text and Buffer name the same key', () => {
    const { call } = start();
    call('SET', 'ключ', 'text');
    expect(call('GET', Buffer.from('ключ'))).toBe('text');
    call('SET', Buffer.from([0xff, 0x00]), 'raw');
    expect(call('GET', Buffer.from([0xff, 0x00]))).toBe('raw');
    expect(call('DBSIZE')).toBe(2);
  });
});
