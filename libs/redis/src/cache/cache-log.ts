/** Log lines of what caches do: it listens to their events, and knows nothing else of them. */
import { onTelemetry, type TelemetryEvent } from '../core/index.js';

export interface CacheLogger {
  debug(line: string, fields?: CacheLogFields): void;
  /** For every single read; without it none are put into words. */
  verbose?(line: string, fields?: CacheLogFields): void;
}

/** What a line says, for those who put logs into a table. */
export type CacheLogFields = Readonly<Record<string, string | number>>;

export interface CacheLogOptions {
  /** Hands them over after the line. @default false */
  readonly fields?: boolean | undefined;
}

/**
 * ```ts
 * const stop = logCacheEvents({ debug: console.debug });
 * // books: saved #9a0e1f3c in 0.41 ms
 * ```
 * Reads go to `verbose`, what changes something to `debug`. Lines have the mark of a key, never the key.
 * @returns what stops it
 */
export function logCacheEvents(logger: CacheLogger, options: CacheLogOptions = {}): () => void {
  const { fields = false } = options;
  return onTelemetry('cache', (event) => {
    const read = event.name === 'cache.read';
    const line = read && logger.verbose === undefined ? undefined : lineOf(event);
    if (line === undefined) return;
    const said = fields ? [fieldsOf(event)] : [];
    if (read) logger.verbose?.(line, ...said);
    else logger.debug(line, ...said);
  });
}

const HITS: readonly (string | undefined)[] = ['l1', 'l2', 'fallback', 'negative'];

function lineOf({
  name,
  subject,
  outcome = '',
  durationMs = 0,
  attributes,
}: TelemetryEvent): string | undefined {
  const key = attributes?.['key'];
  const by = attributes?.['by'];
  const what = wordOf(name, outcome, by === undefined ? '' : String(by));
  if (what === undefined) return undefined;
  const about = key === undefined ? '' : ` #${String(key)}`;
  return `${subject}: ${what}${about} in ${durationMs.toFixed(2)} ms`;
}

function fieldsOf({
  name,
  subject,
  outcome = '',
  durationMs = 0,
  attributes,
}: TelemetryEvent): CacheLogFields {
  const told = Object.entries(attributes ?? {}).map(([key, value]) => [key, String(value)] as const);
  const tookMs = Math.round(durationMs * 100) / 100;
  return { event: name, cache: subject, outcome, tookMs, ...Object.fromEntries(told) };
}

function wordOf(name: string, outcome: string, by: string): string | undefined {
  switch (name) {
    case 'cache.read':
      return HITS.includes(outcome) ? `hit (${outcome})` : outcome;
    case 'cache.save':
      return outcome === 'ok' ? 'saved' : `not saved (${outcome})`;
    case 'cache.invalidate':
      return outcome === 'ok' ? `invalidated (${by})` : `not invalidated (${by}: ${outcome})`;
    case 'cache.load':
      return outcome === 'ok' ? 'loaded' : `not loaded (${outcome})`;
    case 'cache.error':
      return `failed (${by}: ${outcome})`;
    default:
      return undefined;
  }
}
