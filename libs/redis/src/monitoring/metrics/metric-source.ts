/** Where figures come from: what is heard of as it happens, and what is counted elsewhere and looked up. */
import type { CounterName, GaugeName, HistogramName, LabelsOf } from './catalogue.js';
import type { MetricGroup } from './metric.js';
import type { Cell, HistogramCell } from './series.js';

/** For what is counted here, event by event. */
export interface Meter {
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  set<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  /** The cell itself, for those who count often: to keep it saves looking for it. */
  counter<Name extends CounterName>(name: Name, labels: LabelsOf<Name>): Cell;
  histogram<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>): HistogramCell;
}

/** For what is counted elsewhere, as it stands now. What one source gives for the same labels is added up. */
export interface Snapshot {
  total<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, value: number): void;
  gauge<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void;
}

export interface MetricSource {
  readonly group: MetricGroup;
  /** Begins to hear of what happens. @returns what ends it */
  listen?(meter: Meter): () => void;
  /** Called whenever somebody asks for the figures. */
  collect?(snapshot: Snapshot): void | Promise<void>;
}
