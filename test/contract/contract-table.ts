/** Prints what kept which contract: rows are cases, columns are the places they ran in. */
import type { ContractResult } from '@anbar/nestjs-redis/testing';

export class ContractTable {
  readonly #results: ContractResult[] = [];

  readonly add = (result: ContractResult): void => {
    this.#results.push(result);
  };

  print(): void {
    const targets = [...new Set(this.#results.map(({ target }) => target))];
    const rows = [...new Set(this.#results.map((result) => result.case))];
    const width = Math.max(...rows.map((row) => row.length));
    const line = (head: string, cells: readonly string[]): string =>
      [head.padEnd(width), ...cells.map((cell, i) => cell.padStart(targets[i]?.length ?? 0))].join(' | ');
    console.log(
      [
        line(this.#results[0]?.contract ?? '', targets),
        line(
          '-'.repeat(width),
          targets.map((target) => '-'.repeat(target.length)),
        ),
        ...rows.map((row) =>
          line(
            row,
            targets.map((target) => this.#mark(row, target)),
          ),
        ),
      ].join('\n'),
    );
  }

  #mark(row: string, target: string): string {
    const result = this.#results.find((each) => each.case === row && each.target === target);
    if (result === undefined) return '';
    return result.ok ? 'ok' : 'FAILED';
  }
}
