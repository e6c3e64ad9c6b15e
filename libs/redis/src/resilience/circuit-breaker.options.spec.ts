import { describe, expect, it } from 'vitest';
import { resolveBreaker, type BreakerOptions } from './circuit-breaker.options.js';

describe('resolveBreaker', () => {
  it('fills in what is documented', () => {
    expect(resolveBreaker()).toEqual({
      failureRate: 0.5,
      minimumCalls: 20,
      windowMs: 10_000,
      consecutiveFailures: 5,
      slowCallMs: Number.POSITIVE_INFINITY,
      slowRate: 0.8,
      openForMs: 500,
      maxOpenForMs: 15_000,
      probes: 3,
    });
  });

  it.each<[BreakerOptions, string]>([
    [{ failureRate: 0 }, 'failureRate: 0'],
    [{ failureRate: 1.5 }, 'failureRate: 1.5'],
    [{ slowRate: Number.NaN }, 'slowRate: NaN'],
    [{ minimumCalls: 0 }, 'minimumCalls: 0'],
    [{ consecutiveFailures: 2.5 }, 'consecutiveFailures: 2.5'],
    [{ probes: 0 }, 'probes: 0'],
    [{ window: 0 }, 'window: 0'],
    [{ openFor: '5s', maxOpenFor: '1s' }, 'maxOpenFor: 1000'],
  ])('refuses %j and names it', (options, text) => {
    expect(() => resolveBreaker(options)).toThrow(text);
  });
});
