/**
 * What the other processes see. One asks all by a message, each answers with its own figures, and who asked waits
 * half a second: a process that is busy or cut off is missing then, and nobody waits for it.
 */
import { SingleFlight, systemClock, type Clock, sleep } from '../core/index.js';
import type { FleetLine } from './console.source.js';
import { readFleetReport, type FleetReport } from './fleet-report.js';

const WITHIN_MS = 500;
/** Many pages that look at once are answered by one question. */
const KEEP_MS = 2_000;
const MOST_PROCESSES = 500;

export interface FleetParts {
  readonly line: FleetLine;
  readonly own: () => FleetReport;
  readonly clock?: Clock | undefined;
}

export interface Gathered {
  readonly reports: readonly FleetReport[];
  /** Why others may be missing; null when all that were asked have answered, or nobody knows how many there are. */
  readonly missing: string | null;
}

interface Gathering {
  readonly id: string;
  readonly reports: Map<string, FleetReport>;
  onReport: () => void;
}

export class Fleet {
  readonly #parts: FleetParts;
  readonly #clock: Clock;
  readonly #asking = new SingleFlight<Gathered>();
  readonly #stop: () => void;
  #gathering: Gathering | undefined;
  #last: { readonly gathered: Gathered; readonly at: number } | undefined;
  #questions = 0;

  constructor(parts: FleetParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#stop = parts.line.listen((text) => this.#onMessage(text));
  }

  close(): void {
    this.#stop();
  }

  gather(): Promise<Gathered> {
    if (this.#last !== undefined && this.#clock.now() - this.#last.at < KEEP_MS) {
      return Promise.resolve(this.#last.gathered);
    }
    return this.#asking.run('gather', async () => {
      const gathered = await this.#ask();
      this.#last = { gathered, at: this.#clock.now() };
      return gathered;
    });
  }

  async #ask(): Promise<Gathered> {
    const { own, line } = this.#parts;
    const mine = own();
    this.#questions += 1;
    const id = `${mine.process.id}.${this.#questions}`;
    const reports = new Map([[mine.process.id, mine]]);
    const stop = new AbortController();
    let expected: number | undefined;
    const check = (): void => {
      if (expected !== undefined && reports.size >= expected) stop.abort();
    };
    this.#gathering = { id, reports, onReport: check };
    try {
      expected = await line.send(JSON.stringify({ kind: 'ask', id }));
      check();
      // Either the time is over or all have answered: both end the wait.
      await sleep(WITHIN_MS, { clock: this.#clock, signal: stop.signal }).catch(() => undefined);
    } catch {
      return { reports: [mine], missing: 'Redis does not answer, so the other processes can not be asked' };
    } finally {
      this.#gathering = undefined;
    }
    const silent = (expected ?? reports.size) - reports.size;
    const missing =
      silent > 0 ? `${silent} of ${expected} processes did not answer in ${WITHIN_MS} ms` : null;
    return { reports: [...reports.values()], missing };
  }

  #onMessage(text: string): void {
    const message = parsed(text);
    if (message === undefined) return;
    if (message.kind === 'ask') {
      const own = this.#parts.own();
      // Who asked knows its own already.
      if (message.id.startsWith(`${own.process.id}.`)) return;
      this.#parts.line
        .send(JSON.stringify({ kind: 'tell', id: message.id, report: own }))
        .catch(() => undefined);
      return;
    }
    const gathering = this.#gathering;
    if (gathering === undefined || gathering.id !== message.id) return;
    const report = readFleetReport(message.report);
    if (report === undefined || gathering.reports.size >= MOST_PROCESSES) return;
    gathering.reports.set(report.process.id, report);
    gathering.onReport();
  }
}

/** Whoever may write to this Redis can send anything here. */
function parsed(text: string): { kind: string; id: string; report?: unknown } | undefined {
  try {
    const message: unknown = JSON.parse(text);
    const kind: unknown = Reflect.get(Object(message), 'kind');
    const id: unknown = Reflect.get(Object(message), 'id');
    if (typeof kind !== 'string' || typeof id !== 'string' || id.length > 100) return undefined;
    return { kind, id, report: Reflect.get(Object(message), 'report') };
  } catch {
    return undefined;
  }
}
