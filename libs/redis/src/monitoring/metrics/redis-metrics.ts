/**
 * The figures of one module: hears of what happens, looks up the rest when it is asked, and knows no metrics library.
 * Until somebody wants the figures it listens to nothing, so that they cost nobody anything.
 */
import { withDeadline, systemClock, type Clock } from '../../core/index.js';
import { METRICS, type MetricName } from './catalogue.js';
import { LabelGuard } from './label-guard.js';
import type { MetricDefinition } from './metric.js';
import type { Meter, MetricSource, Snapshot } from './metric-source.js';
import { resolveMetrics, type ResolvedMetrics } from './metrics.options.js';
import { CellTable, histogramMaker, makeCell, type Cell, type HistogramCell, type Labels } from './series.js';

export interface RedisMetricsParts {
  readonly sources: readonly MetricSource[];
  /** `false`: there are no figures, and nothing is listened to. */
  readonly settings?: ResolvedMetrics | false | undefined;
  readonly clock?: Clock | undefined;
}

/** One metric with all its cells. */
export interface MetricFamily {
  readonly definition: MetricDefinition;
  /** With the prefix. */
  readonly name: string;
  readonly cells: Iterable<Cell>;
  readonly histograms: Iterable<HistogramCell>;
}

interface Table {
  readonly definition: MetricDefinition;
  readonly counted: CellTable<Cell>;
  readonly observed: CellTable<HistogramCell> | undefined;
  /** What each source gave last. */
  readonly looked: Map<MetricSource, CellTable<Cell>>;
}

export class RedisMetrics {
  readonly #settings: ResolvedMetrics | undefined;
  readonly #clock: Clock;
  readonly #sources: readonly MetricSource[];
  readonly #guard: LabelGuard;
  readonly #tables = new Map<string, Table>();
  readonly #busy = new Set<MetricSource>();
  #stops: (() => void)[] | undefined;
  #collecting: Promise<void> | undefined;
  #closed = false;

  constructor({ sources, settings = resolveMetrics(), clock = systemClock }: RedisMetricsParts) {
    const resolved = settings === false ? undefined : settings;
    this.#settings = resolved;
    this.#clock = clock;
    this.#sources = sources.filter(({ group }) => resolved?.groups.has(group));
    this.#guard = new LabelGuard(resolved?.labelLimit ?? 1, (label) =>
      this.meter.count('label_overflow_total', { label }),
    );
    for (const definition of METRICS) {
      if (resolved?.groups.has(definition.group))
        this.#tables.set(definition.name, this.#tableOf(definition));
    }
  }

  /** Those that are given out, by the groups that are on. */
  get families(): readonly MetricFamily[] {
    return [...this.#tables.values()].map((table) => this.#familyOf(table));
  }

  family(name: MetricName): MetricFamily | undefined {
    const table = this.#tables.get(name);
    return table && this.#familyOf(table);
  }

  /** The name it is given out by; also of a metric that is switched off. */
  nameOf(name: MetricName): string {
    return `${this.#settings?.prefix ?? ''}${name}`;
  }

  /** From now on events are counted. Asking for the figures does it, too. */
  start(): void {
    if (this.#closed) return;
    this.#stops ??= this.#sources.flatMap((source) => source.listen?.(this.meter) ?? []);
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops ?? []) stop();
  }

  /** Brings what is counted elsewhere up to date. Never rejects; all who ask at the same time wait for the same. */
  collect(): Promise<void> {
    this.start();
    if (this.#closed) return Promise.resolve();
    this.#collecting ??= Promise.all(this.#sources.map((source) => this.#look(source))).then(() => {
      this.#collecting = undefined;
    });
    return this.#collecting;
  }

  readonly meter: Meter = {
    count: (name, labels, by = 1) => {
      this.meter.counter(name, labels).value += by;
    },
    set: (name, labels, value) => {
      const cell = this.#tables.get(name)?.counted.at(labels as Labels);
      if (cell !== undefined) cell.value = value;
    },
    observe: (name, labels, value) => this.meter.histogram(name, labels).observe(value),
    counter: (name, labels) => this.#tables.get(name)?.counted.at(labels as Labels) ?? makeCell({}),
    histogram: (name, labels) =>
      this.#tables.get(name)?.observed?.at(labels as Labels) ?? histogramMaker([])({}),
  };

  async #look(source: MetricSource): Promise<void> {
    if (source.collect === undefined || this.#settings === undefined) return;
    try {
      // One that hangs is not asked again on top: questions would pile up.
      if (this.#busy.has(source)) throw new Error('still busy with the question before');
      this.#busy.add(source);
      const found = new Map<string, CellTable<Cell>>();
      const looking = (async () => {
        await source.collect?.(this.#snapshotInto(found));
        this.#keep(source, found);
      })().finally(() => this.#busy.delete(source));
      const { timeoutMs } = this.#settings;
      await withDeadline(looking, { timeoutMs, what: `metrics of ${source.group}`, clock: this.#clock });
    } catch {
      this.meter.count('scrape_errors_total', { source: source.group });
    }
  }

  /** What it no longer gives, such as a shard that was taken away, is gone. */
  #keep(source: MetricSource, found: ReadonlyMap<string, CellTable<Cell>>): void {
    for (const [name, { looked }] of this.#tables) {
      const cells = found.get(name);
      if (cells === undefined) looked.delete(source);
      else looked.set(source, cells);
    }
  }

  #snapshotInto(found: Map<string, CellTable<Cell>>): Snapshot {
    const put = (name: MetricName, labels: Labels, value: number): void => {
      const definition = this.#tables.get(name)?.definition;
      if (definition === undefined) return;
      const cells = found.get(name) ?? new CellTable(definition, this.#guard, makeCell);
      found.set(name, cells);
      cells.at(labels).value += value;
    };
    return {
      total: (name, labels, value) => put(name, labels as Labels, value),
      gauge: (name, labels, value) => put(name, labels as Labels, value),
    };
  }

  #tableOf(definition: MetricDefinition): Table {
    const { type, buckets = [] } = definition;
    return {
      definition,
      counted: new CellTable(definition, this.#guard, makeCell),
      observed:
        type === 'histogram' ? new CellTable(definition, this.#guard, histogramMaker(buckets)) : undefined,
      looked: new Map(),
    };
  }

  #familyOf({ definition, counted, observed, looked }: Table): MetricFamily {
    // A metric is either counted here or looked up: where it was, what was counted are only its zeros.
    const tables = looked.size > 0 ? [...looked.values()] : [counted];
    return {
      definition,
      name: `${this.#settings?.prefix ?? ''}${definition.name}`,
      cells: definition.type === 'histogram' ? [] : tables.flatMap((table) => [...table.cells]),
      histograms: observed?.cells ?? [],
    };
  }
}
