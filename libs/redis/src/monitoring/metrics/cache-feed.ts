/** Figures of caches that are told of as they happen; what is read is counted by the caches themselves. */
import { onTelemetry, type TelemetryEvent } from '../../core/index.js';
import type { LabelsOf } from './catalogue.js';
import { KeptCells } from './kept-cells.js';
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
    listen(meter) {
      const writes = new KeptCells((cache, outcome) =>
        meter.counter('cache_writes_total', {
          cache,
          outcome: outcome === 'nothing' ? outcome : wordOf(outcome),
        }),
      );
      const saved = meter.histogram('cache_change_duration_seconds', { op: 'save' });
      return onTelemetry('cache-changes', (event) => {
        const { name, subject, outcome = '', durationMs = 0 } = event;
        if (name === 'cache.save') {
          writes.at(subject, outcome).value += 1;
          // What is stored after a load is told without its time.
          if (durationMs > 0) saved.observe(durationMs / 1_000);
        } else if (name === 'cache.invalidate') countInvalidation(meter, event);
      });
    },
  };
}

/** The attributes of an event are made when they are looked at, so a save gets by without. */
function countInvalidation(meter: Meter, event: TelemetryEvent): void {
  const { subject: cache, outcome = '', durationMs = 0, attributes } = event;
  const by = INVALIDATIONS[String(attributes?.['by'])];
  if (by === undefined) return;
  meter.count('cache_invalidations_total', { cache, by });
  meter.count('cache_invalidation_failures_total', { cache }, outcome === 'ok' ? 0 : 1);
  meter.observe('cache_change_duration_seconds', { op: 'invalidate' }, durationMs / 1_000);
}

function wordOf(outcome: string): 'ok' | 'error' {
  return outcome === 'ok' ? 'ok' : 'error';
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
