/** What is kept per subject in the process is bounded in number: names are chosen by clients. */
import { expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { Questions } from './ask.js';
import { DenialMemory } from './denial-memory.js';
import { decide, stateOf } from './decision.js';
import type { Limit } from './limit.options.js';
import { LocalCount } from './local-count.js';
import { RateLimitKeys } from './rate-limit.keys.js';
import type { TakeState } from './take.scripts.js';
import { TokenLeases } from './token-leases.js';

const SUBJECTS = 60_000;

const questions = new Questions(new RateLimitKeys('app'), 'local');
const asked = (i: number, limit: Limit) => questions.of([{ subject: ['ip', `subject-${i}`], limits: limit }]);

it('denials that are remembered', () => {
  const memory = new DenialMemory({ maxEntries: 10_000, longestMs: 60_000 });
  const limit: Limit = { limit: 1, window: '1h' };
  for (let i = 0; i < SUBJECTS; i += 1) {
    const question = asked(i, limit);
    const state: TakeState = {
      verdict: 'denied',
      remaining: 0,
      wait: 60_000_000,
      reset: 60_000_000,
      charge: 0,
    };
    const states = question.limits.map((each) => stateOf(each.limit, state));
    memory.remember(question, decide({ limits: states, source: 'store' }), 0);
  }
  expect(memory.size).toBe(10_000);
  // Those that were seen last are the ones that come again.
  expect(memory.recall(asked(SUBJECTS - 1, limit), 1)?.allowed).toBe(false);
  expect(memory.recall(asked(0, limit), 1)).toBeUndefined();
});

it('tokens taken ahead', async () => {
  const leases = new TokenLeases(new FakeClock());
  const limit: Limit = { limit: 100, window: '1h', lease: 10 };
  const state: TakeState = { verdict: 'passed', remaining: 9, wait: 1, reset: 1, charge: 1 };
  for (let i = 0; i < SUBJECTS; i += 1) {
    const question = asked(i, limit);
    if (question.leased === undefined) throw new Error('nothing is to be taken ahead');
    await leases.take(question, question.leased, () => Promise.resolve(state));
  }
  expect(leases.size).toBe(10_000);
});

it('counts of this process while Redis is away', async () => {
  const local = new LocalCount(1, new FakeClock());
  onTestFinished(() => local.close());
  const limit: Limit = { limit: 100, window: '1h' };
  for (let i = 0; i < SUBJECTS; i += 1) {
    const [state] = await local.take(asked(i, limit).limits, { mode: 'consume', holder: '' });
    if (state?.remaining !== 99) throw new Error(`subject ${i} is known already`);
  }
  expect(await local.client.command('DBSIZE', [])).toBeLessThanOrEqual(50_000);
  // The bound is one of subjects, not one of time: who came last is counted on.
  const [last] = await local.take(asked(SUBJECTS - 1, limit).limits, { mode: 'consume', holder: '' });
  expect(last?.remaining).toBe(98);
});
