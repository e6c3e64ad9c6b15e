/** A book on the press. */
import type { Row } from '../storage/shop-database.js';

export type RunState = 'queued' | 'printing' | 'done';

export interface PrintRun {
  readonly runId: string;
  readonly title: string;
  readonly copies: number;
  readonly printed: number;
  readonly percent: number;
  readonly state: RunState;
}

export function toPrintRun(row: Row): PrintRun {
  const [copies, printed] = [Number(row['copies']), Number(row['printed'])];
  return {
    runId: String(row['id']),
    title: String(row['title']),
    copies,
    printed,
    percent: Math.floor((printed / copies) * 100),
    state: String(row['state']) as RunState,
  };
}
