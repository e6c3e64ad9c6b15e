import { describe, expect, it } from 'vitest';
import { resolveRetry, type RetryOptions } from './retry.options.js';

describe('resolveRetry', () => {
  it('fills in what is documented', () => {
    expect(resolveRetry()).toEqual({ attempts: 3, budget: 0.1, baseDelayMs: 10, maxDelayMs: 100 });
    expect(resolveRetry({ budget: 0, baseDelay: 0 })).toMatchObject({ budget: 0, baseDelayMs: 0 });
  });

  it.each<[RetryOptions, string]>([
    [{ attempts: 0 }, 'attempts: 0'],
    [{ attempts: 1.5 }, 'attempts: 1.5'],
    [{ budget: -1 }, 'budget: -1'],
    [{ budget: 2 }, 'budget: 2'],
    [{ baseDelay: -1 }, 'baseDelay: -1'],
  ])('refuses %j and names it', (options, text) => {
    expect(() => resolveRetry(options)).toThrow(text);
  });
});
