/** Cells by two names, found again without making a key of them: for what happens with every call. */
const MOST_KEPT = 1_000;

export class KeptCells<Each> {
  readonly #find: (first: string, second: string) => Each;
  readonly #kept = new Map<string, Map<string, Each>>();
  #size = 0;
  /** Whoever is counted is mostly counted again at once. */
  #lastFirst: string | undefined;
  #lastSecond: string | undefined;
  #lastCell: Each | undefined;

  constructor(find: (first: string, second: string) => Each) {
    this.#find = find;
  }

  at(first: string, second: string): Each {
    if (this.#lastCell !== undefined && first === this.#lastFirst && second === this.#lastSecond) {
      return this.#lastCell;
    }
    const cell = this.#kept.get(first)?.get(second) ?? this.#look(first, second);
    this.#lastFirst = first;
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
    return cell;
  }
}
