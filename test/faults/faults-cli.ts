/** The long form on the command line: every row, ours and the stock client in one run, one table. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { serverBinary } from '../topology/index.js';
import { brokenGates, type FaultReport } from './fault-report.js';
import type { FaultRow, RunSettings } from './fault-row.js';
import { runFault } from './fault-run.js';
import { faultTable, tableLine } from './fault-table.js';
import { OutputWatch } from './planted-secrets.js';
import { allRows, lonelyRows } from './rows.js';
import { stockVersion, type SubjectKind } from './subject.js';

const LANES = 3;
const EVIDENCE = 'docs/evidence/fault-matrix.md';

interface Options {
  readonly seed: number;
  readonly long: boolean;
  readonly rows: readonly FaultRow[];
  readonly rivals: boolean;
  /** Only a whole run is evidence. */
  readonly write: boolean;
}

interface Outcome {
  readonly reports: readonly FaultReport[];
  readonly broken: readonly string[];
  readonly outputHits: number;
  readonly minutes: number;
}

/** @returns the exit code */
export async function runFaults(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  console.log(`seed ${options.seed}, ${options.long ? 'long' : 'short'} form, ${options.rows.length} rows`);
  const outcome = await runAll(options);
  console.log(`\n${faultTable(outcome.reports)}\n`);
  for (const sentence of outcome.broken) console.log(`GATE ${sentence}`);
  console.log(
    `${outcome.broken.length} gates broken; planted secrets in the output: ${outcome.outputHits}; ` +
      `${outcome.minutes.toFixed(1)} min`,
  );
  if (options.write) await writeFile(EVIDENCE, await evidence(options, outcome));
  return outcome.broken.length === 0 && outcome.outputHits === 0 ? 0 : 1;
}

function readOptions(args: readonly string[]): Options {
  const after = (flag: string): string | undefined => {
    const at = args.indexOf(flag);
    return at === -1 ? undefined : args[at + 1];
  };
  const wanted = after('--rows')?.split(',');
  const rows = wanted === undefined ? allRows : allRows.filter(({ row }) => wanted.includes(row));
  const long = !args.includes('--short');
  return {
    seed: Number(after('--seed') ?? 20_261_120),
    long,
    rows,
    rivals: !args.includes('--ours'),
    write: wanted === undefined && long && !args.includes('--ours'),
  };
}

interface Job {
  readonly row: FaultRow;
  readonly kind: SubjectKind;
}

/** Ours first and the others after it, so that an unhandled rejection can be laid at one door. */
async function runAll({ seed, long, rows, rivals }: Options): Promise<Outcome> {
  const output = new OutputWatch();
  const startedAt = performance.now();
  const ours: readonly Job[] = rows.map((row) => ({ row, kind: 'ours' }));
  const others = rows.flatMap((row) => (row.rivals ?? ['stock' as const]).map((kind) => ({ row, kind })));
  const results = [
    ...(await runPhase(ours, { seed, long })),
    ...(rivals ? await runPhase(others, { seed, long }) : []),
  ];
  output.stop();
  return {
    reports: results.flatMap(({ report }) => report ?? []).toSorted(byRow),
    broken: results.flatMap(({ faults }) => faults),
    outputHits: output.hits,
    minutes: (performance.now() - startedAt) / 60_000,
  };
}

function byRow(a: FaultReport, b: FaultReport): number {
  return a.row.localeCompare(b.row, 'en', { numeric: true });
}

/** A few rows at a time where they do not disturb each other: they mostly wait. */
async function runPhase(jobs: readonly Job[], settings: RunSettings): Promise<Result[]> {
  const results: Result[] = [];
  const together = jobs.filter(({ row }) => !lonelyRows.includes(row));
  const lane = async (): Promise<void> => {
    for (let job = together.shift(); job !== undefined; job = together.shift()) {
      results.push(await runOne(job, settings));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  for (const job of jobs.filter(({ row }) => lonelyRows.includes(row))) {
    results.push(await runOne(job, settings));
  }
  return results;
}

interface Result {
  readonly report?: FaultReport;
  readonly faults: readonly string[];
}

/** Only ours is held to the gates; a row that can not be run at all is a fault of the suite. */
async function runOne({ row, kind }: Job, settings: RunSettings): Promise<Result> {
  try {
    const report = await runFault(row, kind, settings);
    console.log(tableLine(report), JSON.stringify(report.codes), `stall ${Math.round(report.stallMs)}`);
    const broken = kind === 'ours' ? brokenGates(row, report) : [];
    return { report, faults: broken.map((sentence) => `row ${row.row}: ${sentence}`) };
  } catch (error) {
    return { faults: [`row ${row.row}, ${kind}: the row itself failed: ${String(error)}`] };
  }
}

async function evidence(options: Options, outcome: Outcome): Promise<string> {
  const { version } = await serverBinary();
  const [cpu] = cpus();
  const head = [
    '# Fault matrix',
    '',
    'Real servers, a userland TCP proxy for the network, no mocks. Ours is `createRedis(options).adapter` with its',
    `defaults; stock is ioredis ${stockVersion} with its defaults. Written by \`npm run faults\`; rows are numbered as in`,
    'the fault matrix of the reliability survey.',
    '',
    `- ${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ` +
      `${Math.round(totalmem() / 2 ** 30)} GB, Linux, shared with other work`,
    `- Node ${process.version}, Redis ${version.join('.')}, ioredis ${stockVersion}, commit ${commit()}`,
    `- command: \`npm run faults\`, seed ${options.seed}, ${outcome.minutes.toFixed(1)} minutes`,
    `- gates of ours that do not hold: ${outcome.broken.length}; planted secrets found in all output: ${outcome.outputHits}`,
    '',
    ...outcome.broken.map((sentence) => `- BROKEN ${sentence}`),
    ...(outcome.broken.length > 0 ? [''] : []),
  ];
  return [...head, faultTable(outcome.reports), '', ...LEGEND, ''].join('\n');
}

const LEGEND = [
  'Columns. Load: every 10 ms two reads, one write of a key of its own, one increment of a counter of its own. *wrong*: a value that is not',
  "its key's. *hung*: neither answered nor failed within 2 s. *detect*: ms from the injection to the first failed call.",
  '*recover*: ms from the end of the fault, or from the election of a new master, to the first answer after which nothing',
  'fails any more; – means never within the run. *longest (net)*: ms of the longest call, and without the time the event',
  'loop of the test process itself stood still under it (servers, proxy, load and client share two cores); the gate of',
  'ours, 250 ms deadline + 50 ms, is on the net figure. *twice*: increments executed twice. *lost*: acknowledged',
  'writes that are gone, by design possible where a server came back empty or a failover took place. *unheard*:',
  'writes executed though the caller saw a failure; ours calls each of them an unknown outcome. *leaks*: errors,',
  'error events or statuses in which a planted password or value can be read.',
];

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return 'none yet';
  }
}
