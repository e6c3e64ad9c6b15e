/** Retry amplification: when everything fails, how much more is sent than was asked for. */
import { faultRow, type FaultRow, type FaultRun, type Stage } from './fault-row.js';
import type { FaultReport } from './fault-report.js';
import { RefusingServer, type Refusal } from './refusing-server.js';
import type { Target } from './subject.js';

interface RefusingStage extends Stage {
  readonly fake: RefusingServer;
}

const MOST_AMPLIFICATION = 1.1;
const MOST_ATTEMPTS = 3;

async function refusingStage(refusal: Refusal, ours: Target['ours']): Promise<RefusingStage> {
  const fake = await RefusingServer.start(refusal);
  return {
    fake,
    target: {
      kind: 'standalone',
      host: '127.0.0.1',
      port: fake.port,
      ...(ours === undefined ? {} : { ours }),
    },
    servers: [],
    stop: () => fake.stop(),
  };
}

async function askForNothing({ fake }: RefusingStage, run: FaultRun): Promise<void> {
  run.stopLoad();
  await run.wait(300);
  fake.asked.clear();
  const calls = run.ms(600, 2_000);
  for (let i = 0; i < calls; i += 1) {
    const key = `asked:${i}`;
    void run.issue(i % 2 === 0 ? 'get' : 'incr', () =>
      i % 2 === 0 ? run.subject.get(key) : run.subject.command('INCR', [key]),
    );
    if (i % 4 === 3) await run.wait(5);
  }
  run.fact('calls', calls);
}

function count({ fake }: RefusingStage, run: FaultRun): void {
  const attempts = [...fake.asked.entries()].filter(([key]) => key.startsWith('asked:')).map(([, n]) => n);
  const sent = attempts.reduce((sum, n) => sum + n, 0);
  run.fact('sent', sent);
  run.fact('most attempts', Math.max(0, ...attempts));
}

function judge({ facts }: FaultReport): readonly string[] {
  const amplification = (facts['sent'] ?? 0) / (facts['calls'] ?? 1);
  const attempts = facts['most attempts'] ?? 0;
  return [
    ...(amplification <= MOST_AMPLIFICATION ? [] : [`amplification ${amplification.toFixed(2)}`]),
    ...(attempts <= MOST_ATTEMPTS ? [] : [`${attempts} attempts for one call`]),
  ];
}

const amplification = (row: string, title: string, options: { refusal: Refusal; ours?: Target['ours'] }) =>
  faultRow<RefusingStage>({
    row,
    title,
    fault: [500, 1_000],
    after: [0, 0],
    prepare: () => refusingStage(options.refusal, options.ours),
    inject: askForNothing,
    heal: async (stage, run) => count(stage, run),
    judge,
  });

export const retryRows: readonly FaultRow[] = [
  amplification('R1', 'every command is refused with LOADING (our breaker off, to see the retries alone)', {
    refusal: 'error-reply',
    ours: { breaker: false },
  }),
  amplification('R2', 'every command is refused with LOADING', { refusal: 'error-reply' }),
  amplification('R3', 'every command is answered by a reset', { refusal: 'reset' }),
];
