import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import type { RedisClient } from '../connection/index.js';
import { Questions } from './ask.js';
import { RateLimitKeys } from './rate-limit.keys.js';
import { TakeBatch } from './take-batch.js';

/** A server that answers when it is told to, and what it was asked: the number of keys of each call. */
function silentServer(topology: RedisClient['topology'] = 'standalone') {
  const asked: number[] = [];
  const answers: { readonly answer: () => void; readonly fail: (error: Error) => void }[] = [];
  const run = (_script: unknown, keys: readonly string[]): Promise<unknown> => {
    asked.push(keys.length);
    return new Promise((resolve, reject) => {
      answers.push({ answer: () => resolve({ now: 1, resets: keys.map(() => 0) }), fail: reject });
    });
  };
  return { asked, answers, client: { topology, run } as unknown as RedisClient };
}

function batchOver(topology?: RedisClient['topology']) {
  const clock = new FakeClock();
  const server = silentServer(topology);
  const batch = new TakeBatch(server.client, clock);
  const questions = new Questions(new RateLimitKeys('test'), 'local');
  const take = (subject: string, count = 1) => {
    const limits = Array.from({ length: count }, (_, i) => ({ name: `n${i}`, limit: 10 }));
    return batch.take({ question: questions.of([{ subject, limits }]), mode: 'consume' });
  };
  /** What was promised by now comes first. */
  const pass = async (ms: number): Promise<void> => {
    await setImmediate();
    clock.advance(ms);
  };
  return { pass, take, ...server };
}

describe('TakeBatch', () => {
  it('sends what came together as one call, and whoever is alone at once', async () => {
    const { pass, take, asked, answers } = batchOver();
    const first = [take('a'), take('b', 3)];
    expect(asked).toEqual([]);
    await pass(0);
    await pass(0);
    expect(asked).toEqual([4]);
    answers[0]?.answer();
    expect((await Promise.all(first)).map((states) => states.length)).toEqual([1, 3]);
    const alone = take('c');
    await pass(0);
    expect(asked).toEqual([4, 1]);
    answers[1]?.answer();
    await alone;
  });

  it('goes on gathering as long as each turn brings more', async () => {
    const { pass, take, asked } = batchOver();
    void take('a');
    void take('b');
    for (const subject of ['c', 'd', 'e']) {
      await pass(0.1);
      void take(subject);
    }
    await pass(0.1);
    expect(asked).toEqual([]);
    await pass(0.1);
    expect(asked).toEqual([5]);
  });

  it('goes on gathering while a call is under way, until that is answered', async () => {
    const { pass, take, asked, answers } = batchOver();
    void take('a');
    await pass(0);
    const later = [take('b')];
    await pass(0);
    later.push(take('c'));
    await pass(0);
    await pass(0.1);
    expect(asked).toEqual([1]);
    answers[0]?.answer();
    await pass(0);
    await pass(0);
    expect(asked).toEqual([1, 2]);
    answers[1]?.answer();
    expect(await Promise.all(later)).toHaveLength(2);
  });

  it('does not wait for a slow answer longer than a millisecond', async () => {
    const { pass, take, asked } = batchOver();
    void take('a');
    await pass(0);
    void take('b');
    await pass(0);
    await pass(0.9);
    expect(asked).toEqual([1]);
    await pass(0.2);
    await pass(0);
    expect(asked).toEqual([1, 1]);
  });

  it('gathers no longer than a millisecond', async () => {
    const { pass, take, asked } = batchOver();
    void take('a');
    for (const subject of ['b', 'c', 'd']) {
      void take(subject);
      expect(asked).toEqual([]);
      await pass(0.4);
    }
    expect(asked).toEqual([4]);
  });

  it('gathers no more than what makes a call worth it', async () => {
    const { pass, take, asked } = batchOver();
    for (let i = 0; i < 32; i += 1) void take(`a${i}`, 2);
    await pass(0);
    // Two calls on their way: the server works on the second while the answers of the first are read.
    expect(asked).toEqual([32, 32]);
  });

  it('goes on gathering and sending after a call has failed', async () => {
    const { pass, take, asked, answers } = batchOver();
    const first = take('a');
    await pass(0);
    const second = take('b');
    answers[0]?.fail(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    await pass(0);
    await pass(0);
    expect(asked).toEqual([1, 1]);
    answers[1]?.answer();
    await second;
    void take('c');
    await pass(0);
    expect(asked).toEqual([1, 1, 1]);
  });

  it('does not wait when there is enough for a whole call', async () => {
    const { pass, take, asked } = batchOver();
    void take('a');
    await pass(0);
    for (let i = 0; i < 64; i += 1) void take(`b${i}`, 2);
    expect(asked).toEqual([1, 32, 32, 32, 32]);
  });

  it('waits for nothing in a cluster, where others share no call', async () => {
    const { pass, take, asked } = batchOver('cluster');
    void take('a');
    await pass(0);
    void take('b');
    await pass(0);
    expect(asked).toEqual([1, 1]);
  });
});
