import { expect, it } from 'vitest';
import { classifyUnknownWork, sparingRefusals } from './failure.js';
import { CircuitOpenError } from './resilience.errors.js';

const refusal = new CircuitOpenError({ what: 'books', state: 'open', reason: 'test', retryInMs: 5 });

it('knows nothing about unknown work', () => {
  expect(classifyUnknownWork(new Error('x'))).toEqual({ executed: 'unknown', retryable: true, counts: true });
});

it('never tries a refusal again and never counts it', () => {
  const classify = sparingRefusals(classifyUnknownWork);
  expect(classify(refusal)).toEqual({ executed: 'no', retryable: false, counts: false });
  expect(classify(new Error('x'))).toEqual(classifyUnknownWork(new Error('x')));
});
