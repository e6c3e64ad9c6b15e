/** Rows 27 to 30, and the large reply of row 10: what happens in the client's own process. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { faultRow, type FaultRow, type FaultRun } from './fault-row.js';
import { proxyStage, serverStage, type ServerStage } from './stages.js';

const HOUR_MS = 3_600_000;

interface ClockStage extends ServerStage {
  readonly turnClock: (ms: number) => void;
}

async function clockStage(): Promise<ClockStage> {
  const stage = await serverStage({ keepData: true });
  const real = Date.now.bind(Date);
  return {
    ...stage,
    turnClock: (ms) => {
      Date.now = () => real() + ms;
    },
    stop: async () => {
      Date.now = real;
      await stage.stop();
    },
  };
}

const clockJump = (row: string, ms: number) =>
  faultRow<ClockStage>({
    row,
    title: `wall clock ${ms > 0 ? '+' : '-'}1 h while the server is down`,
    fault: [500, 1_000],
    after: [900, 2_000],
    recoverWithin: 500,
    prepare: clockStage,
    inject: async ({ server, turnClock }, run) => {
      await server.process.kill();
      await run.wait(200);
      turnClock(ms);
    },
    heal: ({ server }) => server.process.restart('keepData'),
  });

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const stall = faultRow({
  row: '28',
  title: 'event loop stands still for 400 ms, healthy server',
  fault: [100, 200],
  after: [300, 500],
  maxFailed: 0,
  prepare: () => serverStage(),
  inject: async (_stage, run) => {
    for (let i = 0; i < run.ms(4, 10); i += 1) {
      void run.issue('get', () => run.subject.get('read:1'));
      void run.issue('set', () => run.subject.set('write:1', { of: 'write:1' }));
      // Once right after the call, once with the call on the wire.
      if (i % 2 === 1) await run.wait(0);
      block(400);
      await run.wait(60);
    }
  },
});

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Memory {
  readonly heap: number;
  readonly rss: number;
}

function memory(): Memory {
  collectGarbage();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 2 ** 20, rss: rss / 2 ** 20 };
}

const CALLS = 100_000;
const PER_TURN = 500;

/** Counts instead of recording: 100,000 records would be the growth that is measured. */
async function flood(run: FaultRun): Promise<{ settled: () => number; answered: () => number }> {
  const counts = { settled: 0, answered: 0 };
  const done = (): void => {
    counts.settled += 1;
  };
  for (let sent = 0; sent < CALLS; sent += PER_TURN) {
    for (let i = 0; i < PER_TURN; i += 1) {
      const call = i % 2 === 0 ? run.subject.get('read:1') : run.subject.incr('flood');
      call
        .then(
          () => {
            counts.answered += 1;
          },
          () => undefined,
        )
        .finally(done);
    }
    await new Promise(setImmediate);
  }
  return { settled: () => counts.settled, answered: () => counts.answered };
}

const floodWhileDown = faultRow({
  row: '29',
  title: '100,000 calls while the server is down',
  fault: [0, 0],
  after: [900, 2_000],
  prepare: () => serverStage({ keepData: true }),
  inject: async ({ server }, run) => {
    run.stopLoad();
    await server.process.kill();
    await run.wait(300);
    const before = memory();
    const { settled } = await flood(run);
    await run.wait(600);
    const after = memory();
    run.fact('heap growth MB', Math.round((after.heap - before.heap) * 10) / 10);
    run.fact('rss growth MB', Math.round((after.rss - before.rss) * 10) / 10);
    run.fact('unsettled', CALLS - settled());
  },
  recoverWithin: 500,
  heal: async ({ server }, run) => {
    await server.process.restart('keepData');
    run.resumeLoad();
  },
  judge: ({ facts }) => [
    ...((facts['heap growth MB'] ?? 0) < 20 ? [] : [`heap grew by ${facts['heap growth MB']} MB`]),
    ...(facts['unsettled'] === 0 ? [] : [`${facts['unsettled']} of ${CALLS} calls did not settle`]),
  ],
});

/** 500 calls at once, then the end: every one of them has to be told something. */
async function closeWithCalls(run: FaultRun): Promise<void> {
  run.stopLoad();
  const calls = Array.from({ length: 500 }, (_, index) =>
    run.issue(index % 2 === 0 ? 'get' : 'incr', () =>
      index % 2 === 0 ? run.subject.get('read:1') : run.subject.incr(`closing:${index}`),
    ),
  );
  await run.wait(1);
  const from = performance.now();
  await Promise.race([run.subject.close(), run.wait(3_000)]);
  run.fact('close ms', Math.round(performance.now() - from));
  let settled = 0;
  for (const call of calls) void call.then(() => (settled += 1));
  await run.wait(50);
  run.fact('unsettled 50 ms later', calls.length - settled);
}

const allSettled: FaultRow['judge'] = ({ facts }) =>
  facts['unsettled 50 ms later'] === 0
    ? []
    : [`${facts['unsettled 50 ms later']} calls did not settle with disconnect()`];

const closeInFlight = faultRow({
  row: '30',
  title: 'disconnect() with 500 calls in flight',
  fault: [0, 0],
  after: [100, 100],
  prepare: proxyStage,
  inject: async ({ proxy }, run) => {
    proxy.latency(100);
    await closeWithCalls(run);
  },
  judge: allSettled,
});

const closeReconnecting = faultRow({
  row: '30b',
  title: 'disconnect() with 500 calls while reconnecting',
  fault: [0, 0],
  after: [100, 100],
  prepare: proxyStage,
  inject: async ({ proxy }, run) => {
    proxy.blackhole('both');
    proxy.rst();
    await run.wait(20);
    await closeWithCalls(run);
  },
  judge: allSettled,
});

const LARGE = 'large';

const largeReply = faultRow({
  row: '10b',
  title: 'a reply of 50 MB (short form 8 MB) among small ones',
  fault: [200, 500],
  after: [300, 500],
  prepare: () => serverStage(),
  inject: async ({ server }, run) => {
    await server.process.admin('SETRANGE', LARGE, run.ms(8, 50) * 2 ** 20 - 1, 'x');
    const from = performance.now();
    await run.issue('large', async () => {
      const reply = await run.subject.command('GET', [LARGE], '10s');
      run.fact('bytes', String(reply).length);
    });
    run.fact('large ms', Math.round(performance.now() - from));
    run.markRecovery();
  },
  recoverWithin: 500,
  ownDeadlines: true,
});

/** Rows that hold up or bend the whole process: nothing else may run beside them. */
export const processRows: readonly FaultRow[] = [
  clockJump('27', HOUR_MS),
  clockJump('27b', -HOUR_MS),
  stall,
  floodWhileDown,
  closeInFlight,
  closeReconnecting,
  largeReply,
];
