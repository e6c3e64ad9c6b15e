/**
 * The figures of one metric as plain numbers, one cell for each combination of label values: counting costs an
 * addition, and a metrics library sees them only when somebody asks.
 */
import type { LabelGuard } from './label-guard.js';
import { OPEN, type MetricDefinition } from './metric.js';

export type Labels = Readonly<Record<string, string>>;

export interface Cell {
  readonly labels: Labels;
  value: number;
}

export interface HistogramCell {
  readonly labels: Labels;
  /** How many fell under each upper bound and over the one before; the last are those over all of them. */
  readonly buckets: number[];
  sum: number;
  count: number;
  observe(value: number): void;
}

export class CellTable<Each extends { readonly labels: Labels }> {
  readonly #definition: MetricDefinition;
  readonly #names: readonly string[];
  readonly #guard: LabelGuard;
  readonly #make: (labels: Labels) => Each;
  readonly #cells = new Map<string, Each>();

  constructor(definition: MetricDefinition, guard: LabelGuard, make: (labels: Labels) => Each) {
    this.#definition = definition;
    this.#names = Object.keys(definition.labels);
    this.#guard = guard;
    this.#make = make;
    const closed = !Object.values(definition.labels).includes(OPEN) && definition.asMet === undefined;
    if (closed) this.#fill({});
  }

  get cells(): Iterable<Each> {
    return this.#cells.values();
  }

  /** With all its siblings by closed labels, so that each of them is there, at 0, before it is first counted. */
  at(labels: Labels): Each {
    const admitted = this.#admitted(labels);
    const known = this.#cells.get(this.#keyOf(admitted));
    if (known !== undefined) return known;
    this.#fill(admitted);
    const made = this.#cells.get(this.#keyOf(admitted));
    if (made === undefined) throw new RangeError(`${this.#definition.name}: no such labels`);
    return made;
  }

  #admitted(labels: Labels): Labels {
    const admitted: Record<string, string> = {};
    for (const name of this.#names) {
      const value = labels[name] ?? '';
      admitted[name] = this.#definition.labels[name] === OPEN ? this.#guard.admit(name, value) : value;
    }
    return admitted;
  }

  #fill(labels: Labels): void {
    let rows: Labels[] = [{}];
    for (const [name, domain] of Object.entries(this.#definition.labels)) {
      const given = domain === OPEN || this.#definition.asMet?.includes(name);
      const values = given ? [labels[name] ?? ''] : [...domain];
      rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
    }
    for (const row of rows) {
      const key = this.#keyOf(row);
      if (!this.#cells.has(key)) this.#cells.set(key, this.#make(row));
    }
  }

  #keyOf(labels: Labels): string {
    let key = '';
    for (const name of this.#names) key += `${labels[name] ?? ''}\0`;
    return key;
  }
}

export function makeCell(labels: Labels): Cell {
  return { labels, value: 0 };
}

export function histogramMaker(bounds: readonly number[]): (labels: Labels) => HistogramCell {
  return (labels) => new BucketCell(labels, bounds);
}

class BucketCell implements HistogramCell {
  readonly labels: Labels;
  readonly buckets: number[];
  sum = 0;
  count = 0;
  readonly #bounds: readonly number[];

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.buckets = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
    this.buckets[index] = (this.buckets[index] ?? 0) + 1;
    this.sum += value;
    this.count += 1;
  }
}
