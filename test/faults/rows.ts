/** Every row, in two lots: those that may run beside each other, and those that need the process for themselves. */
import { authTlsRows } from './auth-tls.js';
import { processRows } from './clock-and-load.js';
import { clusterRows } from './cluster.js';
import { crashRows } from './crash.js';
import type { FaultRow } from './fault-row.js';
import { freezeRows } from './freeze.js';
import { networkRows } from './network.js';
import { retryRows } from './retries.js';
import { sentinelRows } from './sentinel.js';
import { serverErrorRows } from './server-errors.js';

export const independentRows: readonly FaultRow[] = [
  ...sentinelRows,
  ...clusterRows,
  ...crashRows,
  ...freezeRows,
  ...networkRows,
  ...serverErrorRows,
  ...authTlsRows,
  ...retryRows,
];
export const lonelyRows: readonly FaultRow[] = processRows;
export const allRows: readonly FaultRow[] = [...independentRows, ...lonelyRows];
