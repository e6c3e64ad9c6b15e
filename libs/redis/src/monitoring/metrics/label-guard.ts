/**
 * Keeps the number of series bounded: a label has at most so many values, then all further ones are `other`. A name
 * that is made up at run time can thus not fill the memory of whoever collects the figures.
 */
import { OPEN_LABELS } from './metric.js';

export const OTHER = 'other';

type OpenLabel = (typeof OPEN_LABELS)[number];

const LONGEST_VALUE = 100;

export class LabelGuard {
  readonly #limit: number;
  readonly #known = new Map<string, Set<string>>();
  readonly #onOverflow: (label: OpenLabel) => void;

  constructor(limit: number, onOverflow: (label: OpenLabel) => void) {
    this.#limit = limit;
    this.#onOverflow = onOverflow;
  }

  /** The value itself while there is room for it. */
  admit(label: string, value: string): string {
    const known = this.#known.get(label) ?? this.#begin(label);
    if (known.has(value)) return value;
    if (known.size >= this.#limit || value.length > LONGEST_VALUE) {
      const listed = OPEN_LABELS.find((each) => each === label);
      if (value !== OTHER && listed !== undefined) this.#onOverflow(listed);
      return OTHER;
    }
    known.add(value);
    return value;
  }

  #begin(label: string): Set<string> {
    const known = new Set<string>();
    this.#known.set(label, known);
    return known;
  }
}
