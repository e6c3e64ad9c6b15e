/** Figures of the clean-up: told once for every run. */
import { onTelemetry, systemClock, type Clock, type TelemetryEvent } from '../../core/index.js';
import type { Meter, MetricSource } from './metric-source.js';

const OUTCOMES = ['ok', 'lock_held', 'aborted', 'error'] as const;
const BY_RULE = /^(removed|expiring)\.(.+)$/u;

export function cleanupSource(clock: Clock = systemClock): MetricSource {
  return {
    group: 'cleanup',
    listen: (meter) =>
      onTelemetry('cleanup', (event) => {
        if (event.name === 'cleanup.completed') countRun(meter, event, clock);
      }),
  };
}

function countRun(meter: Meter, event: TelemetryEvent, clock: Clock): void {
  const { durationMs = 0, attributes = {} } = event;
  const outcome = OUTCOMES.find((each) => each === event.outcome) ?? 'error';
  meter.count('cleanup_runs_total', { outcome });
  if (outcome === 'lock_held') return;
  meter.observe('cleanup_duration_seconds', {}, durationMs / 1_000);
  meter.count('cleanup_scanned_total', {}, Number(attributes['scanned'] ?? 0));
  if (outcome === 'ok') meter.set('cleanup_last_success_timestamp_seconds', {}, clock.wallNow() / 1_000);
  if (attributes['dryRun'] === true) return;
  meter.count('cleanup_freed_bytes_total', {}, Number(attributes['freedBytes'] ?? 0));
  for (const [name, count] of Object.entries(attributes)) {
    const [, kind, rule] = BY_RULE.exec(name) ?? [];
    if (kind === undefined || rule === undefined) continue;
    meter.count(
      kind === 'removed' ? 'cleanup_removed_total' : 'cleanup_expiring_total',
      { rule },
      Number(count),
    );
  }
}
