/**
 * What the capabilities tell while they work, counted: by what it was, about whom, and how it ended. Everything is
 * bounded, as names of limits and tasks are the application's.
 */
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import type { Happening } from './console.source.js';
import { LatencyHistogram } from './latency-histogram.js';

export interface ActivityRow {
  /** `'tasks.done'` */
  readonly name: string;
  readonly subject: string;
  readonly outcome: string;
  readonly count: number;
  readonly meanMs: number | null;
  /** Wall clock milliseconds. */
  readonly lastAt: number;
}

export interface SlowCommand {
  readonly at: number;
  readonly client: string;
  readonly command: string;
  readonly ms: number;
  readonly attempts: number;
  readonly outcome: string;
}

export interface Incident extends Happening {
  readonly id: number;
  /** The last time. */
  readonly at: number;
  /** How often in a row. */
  readonly times: number;
}

/** Of one step. */
export interface CommandStep {
  readonly commands: number;
  readonly errors: number;
  readonly retries: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * What some screen shows. The cache tells of every hit and a session of every request, so their counters are read
 * instead; answers of routes are shown nowhere, and each route has as many rows as there are outcomes.
 */
const HEARD = [
  'connection',
  'l1',
  'rate-limit',
  'rate-limit-changes',
  'lock',
  'pubsub',
  'tasks',
  'cleanup',
] as const;

const MOST_ROWS = 300;
const MOST_INCIDENTS = 200;
const MOST_SLOW = 20;
/** A slow command makes room for others after this time. */
const SLOW_FOR_MS = 3_600_000;
const LONGEST_TEXT = 200;

/** What somebody on call wants to have been told of. */
const INCIDENTS = new Set([
  'connection.lost',
  'connection.attempt-failed',
  'connection.integrity-off',
  'rate-limit.store',
  'lock.lost',
  'lock.renew-failed',
  'pubsub.gap',
  'pubsub.dropped',
  'pubsub.dead-letter',
  'pubsub.lost',
]);

interface Row {
  readonly name: string;
  readonly subject: string;
  readonly outcome: string;
  count: number;
  totalMs: number;
  lastAt: number;
}

export class Activity {
  readonly #wallNow: () => number;
  readonly #onIncident: () => void;
  readonly #rows = new Map<string, Row>();
  readonly #incidents: Incident[] = [];
  readonly #slow: SlowCommand[] = [];
  readonly #latency = new LatencyHistogram();
  readonly #stops: (() => void)[];
  /** Nodes that are away, and by what near caches hear of changes: what a change is measured by. */
  readonly #lost = new Set<string>();
  readonly #sources = new Map<string, string>();
  #commands = 0;
  #errors = 0;
  #retries = 0;
  #lastIncident = 0;

  constructor(wallNow: () => number, onIncident: () => void = () => undefined) {
    this.#wallNow = wallNow;
    this.#onIncident = onIncident;
    this.#stops = HEARD.map((capability) =>
      onTelemetry(capability, capability === 'connection' ? this.#onConnection : this.#onEvent),
    );
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** What the commands since the last call came to. */
  takeStep(): CommandStep {
    const step: CommandStep = {
      commands: this.#commands,
      errors: this.#errors,
      retries: this.#retries,
      p50: this.#latency.quantile(0.5),
      p99: this.#latency.quantile(0.99),
    };
    this.#latency.clear();
    this.#commands = 0;
    this.#errors = 0;
    this.#retries = 0;
    return step;
  }

  /** Rows of these capabilities, the busiest first. */
  rows(...capabilities: readonly string[]): readonly ActivityRow[] {
    return [...this.#rows.values()]
      .filter(({ name }) => capabilities.some((capability) => name.startsWith(`${capability}.`)))
      .map(({ totalMs, ...row }) => ({ ...row, meanMs: totalMs === 0 ? null : totalMs / row.count }))
      .toSorted((one, other) => other.count - one.count);
  }

  /** The latest first. */
  incidents(most: number, after = 0): readonly Incident[] {
    return this.#incidents
      .filter(({ id }) => id > after)
      .slice(-most)
      .toReversed();
  }

  get lastIncident(): number {
    return this.#lastIncident;
  }

  /** The slowest first. */
  slow(): readonly SlowCommand[] {
    return this.#slow.toSorted((one, other) => other.ms - one.ms);
  }

  happened(happening: Happening): void {
    this.#keep(happening);
    this.#onIncident();
  }

  #keep({ kind, subject, text }: Happening): void {
    const at = this.#wallNow();
    const last = this.#incidents.at(-1);
    const id = (this.#lastIncident += 1);
    const cut = text.slice(0, LONGEST_TEXT);
    if (last?.kind === kind && last.subject === subject && last.text === cut) {
      this.#incidents[this.#incidents.length - 1] = { ...last, id, at, times: last.times + 1 };
      return;
    }
    this.#incidents.push({ id, at, kind, subject: subject.slice(0, LONGEST_TEXT), text: cut, times: 1 });
    if (this.#incidents.length > MOST_INCIDENTS) this.#incidents.shift();
  }

  readonly #onConnection = (event: TelemetryEvent): void => {
    if (event.name === 'connection.command') this.#onCommand(event);
    else {
      if (event.name === 'connection.retry') this.#retries += 1;
      this.#onEvent(event);
    }
  };

  #onCommand(event: TelemetryEvent): void {
    const { durationMs = 0, outcome } = event;
    this.#commands += 1;
    if (outcome === 'error') this.#errors += 1;
    this.#latency.add(durationMs);
    // The common case is one comparison: it is faster than the fastest of the slow ones.
    if (this.#slow.length === MOST_SLOW && durationMs <= (this.#slow[0]?.ms ?? 0)) return;
    this.#noteSlow(event, durationMs);
  }

  /** Kept with the fastest first, so that the one to go stands at the front. */
  #noteSlow({ subject, outcome = '', attributes = {} }: TelemetryEvent, ms: number): void {
    const at = this.#wallNow();
    const fresh = this.#slow.filter((slow) => at - slow.at < SLOW_FOR_MS);
    const { command = '', attempts = 1 } = attributes;
    const slow = { at, client: subject, command: String(command), ms, attempts: Number(attempts), outcome };
    const kept = [...fresh, slow].toSorted((one, other) => one.ms - other.ms).slice(-MOST_SLOW);
    this.#slow.splice(0, this.#slow.length, ...kept);
  }

  readonly #onEvent = (event: TelemetryEvent): void => {
    const { name, subject, outcome = '', durationMs = 0, attributes } = event;
    // A reason has as many forms as there are causes: it is told, and not counted by.
    const closed = name.startsWith('connection.') && name !== 'connection.retry' ? '' : outcome;
    const key = `${name}\n${subject}\n${closed}`;
    let row = this.#rows.get(key);
    if (row === undefined && this.#rows.size < MOST_ROWS) {
      row = {
        name,
        subject: subject.slice(0, LONGEST_TEXT),
        outcome: closed.slice(0, LONGEST_TEXT),
        count: 0,
        totalMs: 0,
        lastAt: 0,
      };
      this.#rows.set(key, row);
    }
    if (row !== undefined) {
      row.count += 1;
      row.totalMs += durationMs;
      row.lastAt = this.#wallNow();
    }
    if (this.#isIncident(event)) this.#tell(event, attributes);
  };

  /** That something is there for the first time is how every process begins. */
  #isIncident({ name, subject, outcome = '', attributes }: TelemetryEvent): boolean {
    const place = `${name} ${subject} ${String(attributes?.['node'] ?? '')}`;
    if (name === 'connection.lost' && this.#lost.size < MOST_ROWS) this.#lost.add(place.slice(name.length));
    if (name === 'connection.ready') return this.#lost.delete(place.slice(name.length));
    if (name === 'l1.source') {
      const before = this.#sources.get(subject);
      if (before !== undefined || outcome !== 'lost') this.#sources.set(subject, outcome);
      return before !== undefined && before !== outcome;
    }
    return INCIDENTS.has(name) || name.startsWith('cleanup.');
  }

  #tell(
    { name, subject, outcome = '' }: TelemetryEvent,
    attributes: TelemetryEvent['attributes'] = {},
  ): void {
    const details = Object.entries(attributes).map(([key, value]) => `${key} ${String(value)}`);
    this.happened({ kind: name, subject, text: [outcome, ...details].filter(Boolean).join(', ') });
  }
}
