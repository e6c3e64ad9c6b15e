import { expect, it } from 'vitest';
import { recordSpans, spans, type SpanRecorder } from './spans.js';

const plan = { name: 'sample.work', subject: 'default' };

function recorder(seen: string[], name: string): SpanRecorder {
  return {
    active: true,
    around: (_, work) => {
      seen.push(name);
      return work({ set: () => undefined, fail: () => undefined });
    },
    here: () => ({ context: name }),
    carry: () => name,
  };
}

it('runs the work and nothing else while nobody records', () => {
  expect(spans.active).toBe(false);
  const value = spans.around(plan, (span) => {
    span.set('a', 1);
    span.fail('CODE');
    return 42;
  });
  expect([value, spans.here(), spans.carry()]).toEqual([42, undefined, undefined]);
});

it('lets one record, and the next one when that one has ended', () => {
  const seen: string[] = [];
  const stops = ['one', 'two'].map((name) => recordSpans(recorder(seen, name)));
  expect(spans.active).toBe(true);
  spans.around(plan, () => undefined);
  expect(spans.here()).toEqual({ context: 'one' });
  stops[0]?.();
  stops[0]?.();
  spans.around(plan, () => undefined);
  expect(spans.carry()).toBe('two');
  stops[1]?.();
  spans.around(plan, () => undefined);
  expect(seen).toEqual(['one', 'two']);
  expect(spans.active).toBe(false);
});
