/** Rows 5 to 12: what networks do between a client and a healthy server. */
import { faultRow, type FaultRow, type FaultRun } from './fault-row.js';
import { proxyStage, type ProxyStage } from './stages.js';

const pass = ({ proxy }: ProxyStage): Promise<void> => proxy.pass();

/** Strikes again and again, at moments and with sizes from the seed. */
async function strike(run: FaultRun, every: number, blow: (random: number) => void): Promise<void> {
  const until = performance.now() + run.ms(600, 2_500);
  while (performance.now() < until) {
    blow(run.random());
    await run.wait(every * (0.5 + run.random()));
  }
}

const latency = (row: string, ms: number, limits: { maxFailed?: number }) =>
  faultRow({
    row,
    title: `latency +${ms} ms with jitter`,
    fault: [600, 2_500],
    after: [900, 3_000],
    ...limits,
    prepare: proxyStage,
    inject: async ({ proxy }) => proxy.latency(ms, ms / 2),
    heal: pass,
  });

const halfOpen = faultRow({
  row: '6',
  title: 'half-open link: nobody answers on the old socket, new ones work',
  fault: [1_200, 3_000],
  after: [0, 0],
  recoverWithin: 1_000,
  prepare: proxyStage,
  inject: async ({ proxy }) => proxy.halfOpen(),
});

const blackhole = faultRow({
  row: '6b',
  title: 'black hole both ways for all sockets, then the held bytes arrive',
  fault: [1_000, 3_000],
  after: [1_200, 3_000],
  recoverWithin: 1_500,
  prepare: proxyStage,
  inject: async ({ proxy }) => proxy.blackhole('both'),
  heal: pass,
});

/** Strikes a connection that works, waits until another one does, and strikes again. */
async function strikeWorking(run: FaultRun, every: number, blow: (random: number) => void): Promise<void> {
  let blows = 0;
  const until = performance.now() + run.ms(900, 4_000);
  while (performance.now() < until) {
    const works = await Promise.race([
      run.subject.get('read:1').then(
        () => true,
        () => false,
      ),
      run.wait(400).then(() => false),
    ]);
    if (works) {
      blows += 1;
      blow(run.random());
    }
    await run.wait(every * (0.5 + run.random()));
  }
  run.fact('blows', blows);
}

const replyLost = faultRow({
  row: '7',
  title: 'reply lost after execution, then RST, again and again',
  fault: [0, 0],
  after: [700, 2_000],
  recoverWithin: 500,
  prepare: proxyStage,
  inject: ({ proxy }, run) =>
    strikeWorking(run, 20, () => {
      proxy.swallowThenReset();
      void run.increment();
    }),
  heal: pass,
});

const deadReplies = faultRow({
  row: '7b',
  title: 'reply path dead: every reply dropped, RST every 30 ms',
  fault: [0, 0],
  after: [900, 2_000],
  prepare: proxyStage,
  inject: ({ proxy }, run) =>
    strike(run, 30, () => {
      proxy.swallow(1_000_000);
      proxy.rst();
    }),
  heal: pass,
});

const swallowed = faultRow({
  row: '8',
  title: 'one reply swallowed now and then, link stays up',
  fault: [0, 0],
  after: [900, 2_500],
  recoverWithin: 500,
  prepare: proxyStage,
  inject: ({ proxy }, run) => strikeWorking(run, 200, () => proxy.swallow(1)),
  heal: pass,
});

const cut = (row: string, end: 'rst' | 'fin') =>
  faultRow({
    row,
    title: `${end.toUpperCase()} in the middle of a batch of replies`,
    fault: [0, 0],
    after: [700, 2_000],
    recoverWithin: 500,
    prepare: proxyStage,
    inject: ({ proxy }, run) =>
      strikeWorking(run, 100, (random) => proxy.cut(1 + Math.floor(random * 200), end)),
    heal: pass,
  });

const sliced = faultRow({
  row: '10',
  title: 'bytes arrive one at a time',
  fault: [600, 2_000],
  after: [300, 500],
  maxFailed: 0,
  prepare: proxyStage,
  inject: async ({ proxy }) => proxy.slice(1),
  heal: pass,
});

const POISON_BYTES = 200 * 1024;

const poison = faultRow({
  row: '11',
  title: 'poison command: 200 KB SET where 64 KB is the limit',
  fault: [600, 2_500],
  after: [300, 500],
  recoverWithin: 500,
  prepare: proxyStage,
  inject: async ({ proxy }, run) => {
    proxy.resetStats();
    proxy.limit(64 * 1024);
    await Promise.race([
      run.issue('poison', () => run.subject.set('write:poison', 'x'.repeat(POISON_BYTES))),
      run.wait(run.ms(300, 1_000)),
    ]);
    run.markRecovery();
  },
  heal: async ({ proxy }, run) => {
    run.fact('reconnects', proxy.stats.connections);
    await proxy.pass();
  },
  judge: ({ facts }) =>
    (facts['reconnects'] ?? 0) <= 3 ? [] : [`sent ${facts['reconnects']} times, allowed 3`],
});

const acceptThenClose = faultRow({
  row: '12',
  title: 'accepts and closes at once',
  fault: [1_500, 2_000],
  after: [2_300, 3_000],
  recoverWithin: 2_300,
  prepare: proxyStage,
  inject: async ({ proxy }, run) => {
    proxy.acceptThenClose();
    proxy.rst();
    await run.wait(run.ms(0, 8_000));
    proxy.resetStats();
  },
  heal: async ({ proxy }, run) => {
    // The short form sees the first, quick attempts; the long one what is left of them after eight seconds.
    run.fact('connects per s', (proxy.stats.connections * 1_000) / run.ms(1_500, 2_000));
    run.fact('allowed per s', run.ms(8, 2));
    await proxy.pass();
  },
  judge: ({ facts }) =>
    (facts['connects per s'] ?? 0) <= (facts['allowed per s'] ?? 0)
      ? []
      : [`${facts['connects per s']} connects per second: a busy loop`],
});

export const networkRows: readonly FaultRow[] = [
  latency('5a', 5, { maxFailed: 0 }),
  latency('5b', 50, { maxFailed: 0 }),
  latency('5c', 500, {}),
  halfOpen,
  blackhole,
  replyLost,
  deadReplies,
  swallowed,
  cut('9', 'rst'),
  cut('9b', 'fin'),
  sliced,
  poison,
  acceptThenClose,
];
