/** Says by what the near cache hears of changes, and, where it is asked for, what the caches do. */
import { logCacheEvents, type CacheLogger } from './cache/index.js';
import type { RedisConfig } from './config/index.js';
import { onTelemetry, type TelemetryEvent } from './core/index.js';
import type { LineLogger } from './monitoring/index.js';

export interface CacheReportLogger extends LineLogger {
  /** Lines of that level are written by somebody. */
  logs(level: 'debug' | 'verbose'): boolean;
}

/** One line for each change of what the near cache lives by; losses of Redis itself are told elsewhere. */
export function reportCache({ l1, cacheLog }: RedisConfig, logger: CacheReportLogger): () => void {
  const stops: (() => void)[] = [];
  if (l1 !== false) stops.push(onTelemetry('l1', sourceReporter(logger, l1.busTtlMs)));
  if (cacheLog && logger.logs('debug'))
    stops.push(logCacheEvents(quietWhereUnread(logger), { fields: true }));
  return () => stops.forEach((stop) => stop());
}

function sourceReporter(logger: CacheReportLogger, busTtlMs: number): (event: TelemetryEvent) => void {
  const last = new Map<string, string>();
  return ({ name, subject, outcome = '', attributes }) => {
    if (name !== 'l1.source' || outcome === 'lost' || last.get(subject) === outcome) return;
    last.set(subject, outcome);
    const reason = String(attributes?.['reason'] ?? '');
    const fields = { event: 'l1.source', connection: subject, source: outcome, reason };
    if (outcome === 'tracking') {
      logger.log(`'${subject}' keeps copies in this process: Redis tells of every change (tracking)`, fields);
    } else if (outcome === 'bus') {
      logger.warn(
        `'${subject}' keeps copies in this process by the bus: other processes of this package tell of their ` +
          `changes, whatever else changes is seen after ${busTtlMs / 1_000} s at the latest (${reason})`,
        fields,
      );
    } else {
      logger.warn(`'${subject}' keeps no copies in this process, every read asks Redis (${reason})`, fields);
    }
  };
}

/** A hit is told of so often that making a line nobody reads is too much. */
function quietWhereUnread(logger: CacheReportLogger): CacheLogger {
  const { debug, verbose } = logger;
  return logger.logs('verbose') ? { debug, verbose } : { debug };
}
