/** Rows 1, 2, 4: the server process is gone, or was never there. */
import { faultRow, type FaultRow } from './fault-row.js';
import { serverStage } from './stages.js';

const RECOVER_MS = 500;

const killed = faultRow({
  row: '1',
  title: 'kill -9, restart with its data',
  fault: [600, 2_000],
  after: [900, 2_500],
  recoverWithin: RECOVER_MS,
  prepare: () => serverStage({ keepData: true }),
  inject: ({ server }) => server.process.kill(),
  heal: ({ server }) => server.process.restart('keepData'),
});

const emptied = faultRow({
  row: '2',
  title: 'kill -9, restart empty',
  fault: [600, 2_000],
  after: [900, 2_500],
  mayLose: true,
  recoverWithin: RECOVER_MS,
  prepare: () => serverStage(),
  inject: ({ server }) => server.process.kill(),
  heal: ({ server }) => server.process.restart('empty'),
});

const absent = faultRow({
  row: '4',
  title: 'server absent when the client starts',
  fault: [500, 3_000],
  after: [900, 2_500],
  recoverWithin: RECOVER_MS,
  prepare: () => serverStage({ keepData: true }),
  beforeOpen: ({ server }) => server.process.kill(),
  inject: async () => {
    // It was there before the client.
  },
  heal: ({ server }) => server.process.restart('keepData'),
});

export const crashRows: readonly FaultRow[] = [killed, emptied, absent];
