import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';

export interface HealthOptions {
  /** After this a probe counts as not answered. @default '200ms' */
  readonly timeout?: Duration | undefined;
  /** So long an answer is given again without asking Redis. @default '1s' */
  readonly cacheFor?: Duration | undefined;
  /** Redis that answers slower than this is `degraded`. @default '100ms' */
  readonly slow?: Duration | undefined;
  /**
   * `'write'` sets a small key too, which finds a server that is full, read-only or not allowed to save.
   * @default 'write'
   */
  readonly probe?: 'read' | 'write' | undefined;
}

export interface HealthSettings {
  readonly timeoutMs: number;
  readonly cacheMs: number;
  readonly slowMs: number;
  readonly probe: 'read' | 'write';
}

export const HEALTH_DEFAULTS = {
  timeout: '200ms',
  cacheFor: '1s',
  slow: '100ms',
  probe: 'write',
} as const satisfies HealthOptions;

export function resolveHealth(options: HealthOptions = {}): HealthSettings {
  return {
    timeoutMs: parsePositiveDuration(options.timeout ?? HEALTH_DEFAULTS.timeout, 'health.timeout'),
    cacheMs: parseDuration(options.cacheFor ?? HEALTH_DEFAULTS.cacheFor, 'health.cacheFor'),
    slowMs: parsePositiveDuration(options.slow ?? HEALTH_DEFAULTS.slow, 'health.slow'),
    probe: options.probe ?? HEALTH_DEFAULTS.probe,
  };
}
