/** The short form of the fault matrix for ours: rows that need the process for themselves, one after the other. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenGates } from './fault-report.js';
import { runFault } from './fault-run.js';
import { OutputWatch } from './planted-secrets.js';
import { lonelyRows } from './rows.js';

const SEED = 20_261_120;

let output: OutputWatch;

beforeAll(() => {
  output = new OutputWatch();
});

afterAll(() => {
  output.stop();
  expect(output.hits, 'planted secrets in the output').toBe(0);
});

describe(`fault matrix, seed ${SEED}`, () => {
  it.each(lonelyRows)(
    'row $row: $title',
    async (row) => {
      const report = await runFault(row, 'ours', { seed: SEED, long: false });
      expect(brokenGates(row, report), JSON.stringify(report)).toEqual([]);
    },
    60_000,
  );
});
