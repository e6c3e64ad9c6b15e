import { describe, expect, it } from 'vitest';
import { brokenGates, makeReport, type FaultReport, type Observed } from './fault-report.js';
import { LoopPulse } from './loop-pulse.js';
import type { CallRecord } from './steady-load.js';

const ROW = { row: '0', title: 'made up', recoverWithin: 500 };

const call = (over: Partial<CallRecord>): CallRecord => ({
  what: 'incr',
  trace: undefined,
  start: 0,
  end: 10,
  outcome: 'ok',
  saidNotExecuted: false,
  code: '',
  ...over,
});

function judge(records: readonly CallRecord[], over: Partial<Observed> = {}): [FaultReport, string[]] {
  const pulse = new LoopPulse();
  pulse.stop();
  const seen: Observed = {
    records,
    pulse,
    injectedAt: 0,
    healthyFrom: 0,
    traces: new Map(),
    unhandled: 0,
    leaks: 0,
    facts: {},
    ...over,
  };
  const report = makeReport(ROW, 'ours', seen);
  return [report, brokenGates(ROW, report)];
}

describe('the gates', () => {
  it('let a good run pass', () => {
    const [report, broken] = judge([call({ trace: 'count:1' })], { traces: new Map([['count:1', 1]]) });
    expect(broken).toEqual([]);
    expect(report).toMatchObject({ ok: 1, failed: 0, hung: 0, recoverMs: 10 });
  });

  it.each<[string, Partial<CallRecord>, Partial<Observed>]>([
    ['1 calls hung', { end: 3_000 }, {}],
    ['1 calls hung', { start: -5_000, end: -1, outcome: 'pending' }, {}],
    ['1 wrong answers', { outcome: 'wrong' }, {}],
    ['1 writes executed twice', { trace: 'count:1' }, { traces: new Map([['count:1', 2]]) }],
    ['1 acknowledged writes lost', { trace: 'count:1' }, {}],
    ['longest call 400 ms', { end: 400 }, {}],
    ['recovery took for ever', { outcome: 'failed' }, {}],
    ['recovery took 900 ms', { start: 890, end: 900 }, {}],
    ['1 unhandled rejections', {}, { unhandled: 1 }],
    ['1 errors or statuses held', {}, { leaks: 1 }],
    [
      '1 writes executed that were said not to be',
      { trace: 'count:1', outcome: 'failed', saidNotExecuted: true },
      { traces: new Map([['count:1', 1]]) },
    ],
  ])('say "%s"', (sentence, record, over) => {
    const [, broken] = judge([call(record)], over);
    expect(broken.some((each) => each.startsWith(sentence))).toBe(true);
  });
});
