/**
 * The report, made at most once a second and within a deadline of its own: whoever asks, and however often, Redis is
 * asked no more than that, and one that does not answer makes a figure unknown and nobody wait.
 */
import {
  DeadlineExceededError,
  safeMessage,
  SingleFlight,
  systemClock,
  withDeadline,
  type Clock,
} from '../../core/index.js';
import { totalOf } from './cache-figures.js';
import {
  isUnknown,
  type Asked,
  type CacheReport,
  type OwnFigures,
  type SampledMemory,
  type StatsReport,
  type StatsSource,
} from './stats-report.js';

export interface StatsServiceParts {
  readonly source: StatsSource;
  readonly clock?: Clock | undefined;
}

/** So long a report is given again. */
const KEEP_MS = 1_000;
/** For what has to be asked, all of it at once. */
const DEADLINE_MS = 200;

export class StatsService {
  /** For those who look more often, and mostly at what is at hand. */
  readonly source: StatsSource;
  readonly #clock: Clock;
  readonly #making = new SingleFlight<StatsReport>();
  #last: { readonly report: StatsReport; readonly endsAt: number } | undefined;

  constructor({ source, clock = systemClock }: StatsServiceParts) {
    this.source = source;
    this.#clock = clock;
  }

  /** Never rejects because of Redis, and takes at most 200 ms; the answer is at most a second old. */
  report(): Promise<StatsReport> {
    if (this.#last !== undefined && this.#clock.now() < this.#last.endsAt) {
      return Promise.resolve(this.#last.report);
    }
    return this.#making.run('report', async () => {
      const report = await this.#make();
      this.#last = { report, endsAt: this.#clock.now() + KEEP_MS };
      return report;
    });
  }

  async #make(): Promise<StatsReport> {
    const source = this.source;
    const [memory, server, tasks] = await Promise.all([
      this.#ask(() => source.memory()),
      this.#ask(() => source.server()),
      this.#ask(() => source.tasks()),
    ]);
    // Read last, so that it is no older than what was asked for.
    const { caches, ...own } = source.own();
    return {
      ...own,
      at: this.#clock.wallNow(),
      process: {
        pid: process.pid,
        uptimeMs: Math.round(process.uptime() * 1_000),
        heapBytes: process.memoryUsage().heapUsed,
      },
      total: totalOf(Object.values(caches)),
      caches: weighed(caches, memory),
      memory: isUnknown(memory) ? memory : memory.namespace,
      server,
      tasks,
    };
  }

  async #ask<T>(ask: () => Promise<T>): Promise<Asked<T>> {
    const limits = { timeoutMs: DEADLINE_MS, what: 'the question', clock: this.#clock };
    try {
      return await withDeadline(ask, limits);
    } catch (error) {
      return { unknown: reasonOf(error) };
    }
  }
}

function weighed(
  caches: OwnFigures['caches'],
  memory: Asked<SampledMemory>,
): Readonly<Record<string, CacheReport>> {
  const shareOf = (name: string): CacheReport['memory'] =>
    isUnknown(memory) ? memory : (memory.caches[name] ?? { keys: 0, bytes: 0 });
  return Object.fromEntries(
    Object.entries(caches).map(([name, figures]) => [name, { ...figures, memory: shareOf(name) }]),
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof DeadlineExceededError) return `not answered within ${DEADLINE_MS} ms`;
  return error instanceof Error ? safeMessage(error.message) : `a thrown ${typeof error}`;
}
