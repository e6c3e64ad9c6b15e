import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { CircuitOpenError, isCircuitOpenError } from './resilience.errors.js';

describe('CircuitOpenError', () => {
  it('is known by its code and brand', () => {
    const error = new CircuitOpenError({
      what: 'main',
      state: 'isolated',
      reason: 'x',
      retryInMs: undefined,
    });
    expect(isCircuitOpenError(error)).toBe(true);
    expect(isCircuitOpenError(new Error('CIRCUIT_OPEN'))).toBe(false);
    expect(isCircuitOpenError({ code: 'CIRCUIT_OPEN' })).toBe(false);
  });

  it('keeps the failure before as its cause, without what drivers hang on it', () => {
    const cause = Object.assign(new Error('READONLY'), { command: { args: ['s3cret'] } });
    const error = new CircuitOpenError({ what: 'main', state: 'open', reason: 'x', retryInMs: 1.2, cause });
    expect(error.message).toContain('next try in 2 ms');
    expect(error.cause).toMatchObject({ message: 'READONLY' });
    expect(inspect(error)).not.toContain('s3cret');
  });
});
