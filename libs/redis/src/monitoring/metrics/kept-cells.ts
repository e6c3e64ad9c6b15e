/** Cells by two names, found again without making a key of them: for what happens with every call. */
const MOST_KEPT = 1_000;

export class KeptCells<Each> {
  readonly #find: (first: string, second: string) => Each;
  readonly #kept = new Map<string, Map<string, Each>>();
  #size = 0;
  /** Whoever is counted is mostly counted again at once, or one of the same row is. */
  #lastFirst: string | undefined;
  #lastRow: Map<string, Each> | undefined;
  #lastSecond: string | undefined;
  #lastCell: Each | undefined;

  constructor(find: (first: string, second: string) => Each) {
    this.#find = find;
  }

  at(first: string, second: string): Each {
    if (first !== this.#lastFirst) {
      this.#lastFirst = first;
      this.#lastRow = this.#kept.get(first);
    } else if (second === this.#lastSecond && this.#lastCell !== undefined) return this.#lastCell;
    const cell = this.#lastRow?.get(second) ?? this.#look(first, second);
    this.#lastSecond = second;
    this.#lastCell = cell;
    return cell;
  }

  #look(first: string, second: string): Each {
    const cell = this.#find(first, second);
    // Names made up at run time are found anew each time: what is kept is bounded, too.
    if (this.#size >= MOST_KEPT) return cell;
    this.#size += 1;
    const row = this.#kept.get(first) ?? new Map<string, Each>();
    this.#kept.set(first, row.set(second, cell));
    this.#lastRow = row;
    return cell;
  }
}
