/** What processes tell each other, and how it is noticed that something was not heard. */
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import type { RedisClient, SubscribeOptions } from '../../connection/index.js';
import { BEAT_MS, ECHO_MS, L1Bus } from './l1-bus.js';
import { readBusMessage, writeBusMessage, type BusMessage } from './l1-bus-message.js';
import { BusSenders, LATE_MS, SILENT_MS } from './l1-bus-senders.js';

const ORIGIN = 'abcdefgh-_12';
const MANY = 1_000_000;

describe('messages', () => {
  it.each<BusMessage>([
    { kind: 'changed', origin: ORIGIN, count: 1, keys: [] },
    { kind: 'changed', origin: ORIGIN, count: 7, keys: ['a:{b c}', 'ключ\n', '"', '\ud800'] },
    { kind: 'beat', origin: ORIGIN, count: 0, beat: 12 },
    { kind: 'leaving', origin: ORIGIN, count: 99 },
  ])('%j is understood as it was written', (message) => {
    expect(readBusMessage(writeBusMessage(message))).toEqual(message);
  });

  it.each([
    '',
    'hello',
    '2 changed abcdefgh 1 []',
    '1 changed abcdefgh 1 {"a":1}',
    '1 changed abcdefgh 1 [1]',
    '1 changed abcdefgh x []',
    '1 changed abc 1 []',
    '1 changed abcdefgh 1 [',
    '1 beat abcdefgh 1',
    '1 beat abcdefgh 1 x',
    '1 shout abcdefgh 1',
  ])('%j is not understood', (text) => {
    expect(readBusMessage(text)).toBeUndefined();
  });
});

describe('senders', () => {
  function open() {
    const clock = new FakeClock();
    const gaps: string[] = [];
    const senders = new BusSenders({ clock, onGap: (why) => void gaps.push(why) });
    return { clock, gaps, senders };
  }

  it('who counts on without a hole leaves none', () => {
    const { clock, gaps, senders } = open();
    senders.heard(ORIGIN, 0, false);
    for (let count = 1; count <= 100; count += 1) senders.heard(ORIGIN, count, true);
    senders.heard(ORIGIN, 100, false);
    clock.advance(LATE_MS);
    expect(gaps).toEqual([]);
  });

  it('a number that comes late is not lost, and one that does not come is', () => {
    const { clock, gaps, senders } = open();
    senders.heard(ORIGIN, 1, true);
    senders.heard(ORIGIN, 4, true);
    senders.heard(ORIGIN, 2, true);
    clock.advance(LATE_MS - 1);
    senders.heard(ORIGIN, 3, true);
    clock.advance(LATE_MS);
    expect(gaps).toEqual([]);
    senders.heard(ORIGIN, 6, true);
    clock.advance(LATE_MS - 1);
    expect(gaps).toEqual([]);
    clock.advance(1);
    expect(gaps).toEqual(['an announcement did not come']);
    // It is told once: everything is emptied by it.
    clock.advance(10 * LATE_MS);
    expect(gaps).toHaveLength(1);
  });

  it.each([
    ['the first of them is filled', [2]],
    ['neither is filled', []],
  ])('a hole beside another one is noticed in its own time, when %s', (_when, filled) => {
    const { clock, gaps, senders } = open();
    senders.heard(ORIGIN, 1, true);
    senders.heard('another-one', 1, true);
    senders.heard(ORIGIN, 3, true);
    clock.advance(LATE_MS - 20);
    senders.heard('another-one', 3, true);
    for (const count of filled) senders.heard(ORIGIN, count, true);
    clock.advance(LATE_MS - 1);
    const before = gaps.length;
    expect(before).toBe(1 - filled.length);
    clock.advance(1);
    expect(gaps.length - before).toBe(1);
    clock.advance(10 * LATE_MS);
    expect(gaps.length - before).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('a beat tells of what was not heard', () => {
    const { clock, gaps, senders } = open();
    senders.heard(ORIGIN, 1, true);
    senders.heard(ORIGIN, 2, false);
    clock.advance(LATE_MS);
    expect(gaps).toEqual(['an announcement did not come']);
  });

  it('who was not known and has told something already may have told it to us', () => {
    const { gaps, senders } = open();
    senders.heard('first-word', 1, true);
    senders.heard('quiet-one', 0, false);
    expect(gaps).toEqual([]);
    senders.heard('old-hand-1', 2, true);
    senders.heard('old-hand-2', 1, false);
    expect(gaps).toHaveLength(2);
  });

  it('who falls silent is noticed, once; who leaves is not', () => {
    const { clock, gaps, senders } = open();
    senders.heard(ORIGIN, 0, false);
    senders.heard('polite-one', 0, false);
    senders.left('polite-one', 0);
    clock.advance(SILENT_MS - 1);
    senders.check();
    expect(gaps).toEqual([]);
    clock.advance(1);
    senders.check();
    senders.check();
    expect(gaps).toEqual(['a process has fallen silent']);
    expect(senders.size).toBe(0);
  });

  it('who leaves says how much it has told', () => {
    const { gaps, senders } = open();
    senders.heard(ORIGIN, 1, true);
    senders.left(ORIGIN, 2);
    senders.left('never-heard', 5);
    expect(gaps).toEqual(['a process left, and not everything it told was heard']);
  });

  it('a very large hole is one at once', () => {
    const { gaps, senders } = open();
    senders.heard(ORIGIN, 1, true);
    senders.heard(ORIGIN, 1_000_000, true);
    expect(gaps).toHaveLength(1);
  });
});

describe('the bus', () => {
  /** A client of which only pub/sub is there; what is published comes back when the test lets it. */
  function open() {
    const clock = new FakeClock();
    const events = new Map<string, (detail: never) => void>();
    const sent: string[] = [];
    let listener: SubscribeOptions | undefined;
    let deaf = false;
    let failing: Error | undefined;
    const client = {
      name: 'by hand',
      on: (event: string, listen: (detail: never) => void) => {
        events.set(event, listen);
        return () => void events.delete(event);
      },
      subscribe: (options: SubscribeOptions) => {
        listener = options;
        return { ready: Promise.resolve(), close: () => Promise.resolve() };
      },
      command: async (_name: string, [, text]: readonly string[]) => {
        if (failing !== undefined) throw failing;
        sent.push(text ?? '');
        if (!deaf) listener?.onMessage({ channel: 'c', payload: Buffer.from(text ?? '') });
        return 1;
      },
    } as unknown as RedisClient;
    const states: string[] = [];
    const heard: unknown[] = [];
    const bus = new L1Bus({
      client,
      channel: 'c',
      clock,
      onInvalidate: (keys) => void heard.push(keys),
      onState: (state) => void states.push(state),
    });
    bus.start();
    return {
      clock,
      bus,
      sent,
      states,
      heard,
      emit: (event: string) => events.get(event)?.({} as never),
      gap: () => listener?.onGap?.(),
      say: (text: string) => listener?.onMessage({ channel: 'c', payload: Buffer.from(text) }),
      hear: (does: boolean) => void (deaf = !does),
      fail: (error: Error | undefined) => void (failing = error),
    };
  }

  it('stands when it has heard itself, and falls when it no longer does', async () => {
    const { clock, states, hear } = open();
    expect(states).toEqual([]);
    await clock.advanceAsync(0);
    expect(states).toEqual(['tracking']);
    await clock.advanceAsync(10 * BEAT_MS);
    expect(states).toEqual(['tracking']);
    hear(false);
    await clock.advanceAsync(BEAT_MS + ECHO_MS);
    expect(states).toEqual(['tracking', 'lost']);
    hear(true);
    await clock.advanceAsync(BEAT_MS);
    expect(states).toEqual(['tracking', 'lost', 'tracking']);
  });

  it.each<[string, (parts: ReturnType<typeof open>) => void]>([
    ['an interrupted subscription', ({ gap }) => gap()],
    ['a lost connection', ({ emit }) => emit('lost')],
    ['a new connection', ({ emit }) => emit('ready')],
    ['another topology', ({ emit }) => emit('topology')],
  ])('%s makes it prove itself again, by a beat sent after that', async (_name, strike) => {
    const parts = open();
    const { clock, states, sent, say, hear } = parts;
    await clock.advanceAsync(0);
    hear(false);
    await clock.advanceAsync(BEAT_MS);
    const under = sent.at(-1) ?? '';
    strike(parts);
    expect(states).toEqual(['tracking', 'lost']);
    say(under);
    expect(states).toEqual(['tracking', 'lost']);
    hear(true);
    await clock.advanceAsync(BEAT_MS);
    expect(states).toEqual(['tracking', 'lost', 'tracking']);
  });

  it('does not believe what it can not send', async () => {
    const { clock, states, bus, fail } = open();
    await clock.advanceAsync(0);
    fail(Object.assign(new Error('NOPERM this user may not'), { kind: 'NOPERM' }));
    await clock.advanceAsync(BEAT_MS);
    expect(states).toEqual(['tracking', 'refused']);
    await expect(bus.announce(['k'])).rejects.toThrow('NOPERM');
    fail(undefined);
    await clock.advanceAsync(BEAT_MS);
    expect(states.at(-1)).toBe('tracking');
  });

  it('tells what changed in one turn in one message, and does not listen to itself', async () => {
    const { clock, bus, sent, heard } = open();
    await clock.advanceAsync(0);
    sent.length = 0;
    await Promise.all([bus.announce(['a']), bus.announce(['b', 'a'])]);
    await bus.announce(['c']);
    const told = sent.map(readBusMessage);
    expect(told).toMatchObject([
      { kind: 'changed', count: 1, keys: ['a', 'b'] },
      { kind: 'changed', count: 2, keys: ['c'] },
    ]);
    await bus.announce(Array.from({ length: 2_500 }, (_, i) => `k${i}`));
    expect(sent).toHaveLength(5);
    expect(heard).toEqual([]);
  });

  it('tells of more keys than a call has room for arguments', async () => {
    const { clock, bus, sent } = open();
    await clock.advanceAsync(0);
    sent.length = 0;
    await bus.announce(Array.from({ length: MANY }, (_, i) => `k${i}`));
    expect(sent).toHaveLength(MANY / 1_000);
  });

  it('empties on words it does not know, and passes on those of others', async () => {
    const { clock, heard, say } = open();
    await clock.advanceAsync(0);
    say(writeBusMessage({ kind: 'changed', origin: ORIGIN, count: 1, keys: ['k'] }));
    say('3 something new');
    expect(heard).toEqual([['k'], 'all']);
    say(writeBusMessage({ kind: 'changed', origin: ORIGIN, count: 3, keys: ['l'] }));
    await clock.advanceAsync(LATE_MS);
    expect(heard).toEqual([['k'], 'all', ['l'], 'all']);
  });

  it('says when it leaves, and nothing after that', async () => {
    const { clock, bus, sent, states } = open();
    await clock.advanceAsync(0);
    await bus.close();
    expect(readBusMessage(sent.at(-1) ?? '')).toMatchObject({ kind: 'leaving', count: 0 });
    const { length } = sent;
    await clock.advanceAsync(10 * BEAT_MS);
    expect(sent).toHaveLength(length);
    expect(states).toEqual(['tracking']);
    expect(clock.pendingTimers).toBe(0);
  });
});
