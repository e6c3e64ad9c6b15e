/** What runs of the clean-up do, as lines: one when something was done or failed, and one now and then while it lasts. */
import { onTelemetry, type TelemetryEvent } from '../core/index.js';

export interface CleanupLogger {
  debug(line: string): void;
  log(line: string): void;
  warn(line: string): void;
}

/** The function stops it. */
export function logCleanup(logger: CleanupLogger): () => void {
  return onTelemetry('cleanup', (event) => {
    const { name, outcome } = event;
    if (name === 'cleanup.progress') logger.log(`the clean-up is under way: ${figuresOf(event)}`);
    if (name !== 'cleanup.completed') return;
    if (outcome === 'error') logger.warn(`the clean-up failed, the next run goes on: ${figuresOf(event)}`);
    else if (outcome === 'aborted') logger.log(`the clean-up was stopped: ${figuresOf(event)}`);
    else if (outcome === 'lock_held') logger.debug('no clean-up: another process is at it');
    else if (hasDone(event)) logger.log(`the clean-up is done: ${figuresOf(event)}`);
    else logger.debug(`the clean-up found nothing: ${figuresOf(event)}`);
  });
}

function hasDone({ attributes = {} }: TelemetryEvent): boolean {
  return Object.keys(attributes).some((name) => /^(?:removed|expiring)\./u.test(name));
}

function figuresOf({ durationMs = 0, attributes = {} }: TelemetryEvent): string {
  const done = Object.entries(attributes).flatMap(([name, count]) => {
    const [, kind, rule] = /^(removed|expiring)\.(.*)$/u.exec(name) ?? [];
    return kind === undefined ? [] : [`${kind} ${count} ${rule}`];
  });
  const dry = attributes['dryRun'] === true ? ' (dry run: nothing was changed)' : '';
  const seconds = (durationMs / 1_000).toFixed(1);
  return `${[`${attributes['scanned'] ?? 0} keys`, ...done].join(', ')} in ${seconds} s${dry}`;
}
