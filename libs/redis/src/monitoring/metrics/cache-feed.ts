/** Figures of caches that are told of as they happen; what is read and stored is counted by the caches themselves. */
import { onTelemetry, type TelemetryEvent } from '../../core/index.js';
import type { LabelsOf } from './catalogue.js';
import type { Meter, MetricSource } from './metric-source.js';

type Invalidation = LabelsOf<'cache_invalidations_total'>['by'];

const INVALIDATIONS: Readonly<Record<string, Invalidation>> = {
  delete: 'delete',
  deleteMany: 'delete_many',
  tags: 'tags',
  prefix: 'prefix',
  flush: 'flush',
};

const L1_SOURCES = ['tracking', 'bus', 'lost', 'refused'] as const;

export function cacheSource(): MetricSource {
  return {
    group: 'cache',
    listen: (meter) =>
      onTelemetry('cache-changes', (event) => {
        if (event.name === 'cache.invalidate') countInvalidation(meter, event);
      }),
  };
}

function countInvalidation(meter: Meter, event: TelemetryEvent): void {
  const { subject: cache, outcome = '', durationMs = 0, attributes } = event;
  const by = INVALIDATIONS[String(attributes?.['by'])];
  if (by === undefined) return;
  meter.count('cache_invalidations_total', { cache, by });
  meter.count('cache_invalidation_failures_total', { cache }, outcome === 'ok' ? 0 : 1);
  meter.observe('cache_invalidation_duration_seconds', {}, durationMs / 1_000);
}

export function loaderSource(): MetricSource {
  return {
    group: 'loader',
    listen: (meter) =>
      onTelemetry('cache-changes', ({ name, subject: cache, durationMs = 0 }) => {
        if (name === 'cache.load')
          meter.observe('cache_load_duration_seconds', { cache }, durationMs / 1_000);
      }),
  };
}

export function nearCacheSource(): MetricSource {
  return {
    group: 'l1',
    listen: (meter) =>
      onTelemetry('l1', ({ name, subject: client, outcome }) => {
        const to = L1_SOURCES.find((source) => source === outcome);
        if (name === 'l1.source' && to !== undefined) meter.count('l1_source_changes_total', { client, to });
      }),
  };
}
