/** The tables of the long hunt. */
import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { serverBinary } from '../topology/index.js';
import type { HuntOutcome } from './hunt-run.js';
import { versionOf } from './rivals.js';
import type { StampedeKind, StampedeOutcome } from './stampede-run.js';

export interface HuntRow {
  readonly what: string;
  readonly outcome: HuntOutcome;
}

export interface MutationRow {
  readonly mutation: string;
  readonly outcome: HuntOutcome;
}

export interface StampedeRow {
  readonly who: string;
  readonly kind: StampedeKind;
  /** The same again and again. */
  readonly rounds: readonly Omit<StampedeOutcome, 'fleet'>[];
}

export interface Results {
  readonly hunts: readonly HuntRow[];
  readonly disturbed: readonly HuntRow[];
  readonly mutations: readonly MutationRow[];
  readonly compared: readonly HuntRow[];
  readonly stampedes: readonly StampedeRow[];
  /** Gates that do not hold, as sentences. */
  readonly broken: readonly string[];
  /** Parts that were asked for and have not been run yet. */
  readonly missing: readonly string[];
  readonly minutes: number;
}

export interface Setting {
  readonly command: string;
  readonly seed: number;
  readonly date: string;
  readonly processes: number;
  readonly stampede: { readonly processes: number; readonly callers: number; readonly loadMs: number };
  readonly leaseMs: number;
}

const ms = (value: number): string => (value < 10 ? value.toFixed(1) : String(Math.round(value)));
const n = (value: number): string => value.toLocaleString('en');
const share = (part: number, whole: number): string =>
  whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(part === 0 ? 0 : 2)} %`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function huntTable(rows: readonly HuntRow[]): string {
  const head = [
    'where',
    'operations',
    'per s',
    'reads',
    'hits',
    'from L1',
    'invalidated',
    'loads',
    'refused fills',
    'stale',
    'later than 50 ms',
    'lag p50 / p99 / max',
    'late by stall',
    'violations',
    'errors',
    'longest stall',
  ];
  return table(head, rows.map(huntCells));
}

function huntCells({ what, outcome }: HuntRow): readonly string[] {
  const lag = [outcome.lagP50Ms, outcome.lagP99Ms, outcome.worstMs].map(ms).join(' / ');
  return [
    what,
    n(outcome.operations),
    n(Math.round(outcome.operations / (outcome.tookMs / 1_000))),
    n(outcome.reads),
    n(outcome.hits),
    n(outcome.l1Hits),
    n(outcome.acknowledged),
    n(outcome.loads),
    n(outcome.refusedFills),
    n(outcome.stale),
    n(outcome.stale50),
    outcome.stale === 0 ? '–' : `${lag} ms`,
    n(outcome.lateByStall),
    n(outcome.violations),
    n(outcome.errors),
    `${ms(outcome.stallMs)} ms`,
  ];
}

export function comparedTable(rows: readonly HuntRow[]): string {
  const head = [
    'who',
    'reads',
    'hits',
    'stale reads',
    'of reads',
    'later than 50 ms',
    'of stale',
    'worst',
    'errors',
  ];
  const cells = rows.map(({ what, outcome }) => [
    what,
    n(outcome.reads),
    n(outcome.hits),
    n(outcome.stale),
    share(outcome.stale, outcome.reads),
    n(outcome.stale50),
    share(outcome.stale50, outcome.stale),
    `${ms(outcome.worstMs)} ms`,
    n(outcome.errors),
  ]);
  return table(head, cells);
}

export function mutationTable(rows: readonly MutationRow[]): string {
  const head = ['left out', 'caught', 'after', 'operations until then', 'first case'];
  const cells = rows.map(({ mutation, outcome }) => {
    const [first] = outcome.cases;
    return [
      mutation,
      outcome.violations > 0 ? 'yes' : 'NO',
      `${(outcome.tookMs / 1_000).toFixed(1)} s`,
      n(outcome.operations),
      first === undefined
        ? '–'
        : `\`${first.by}\` began ${ms(first.lagMs)} ms after \`${first.since}\`, version ${first.answered} for ${first.owed}`,
    ];
  });
  return table(head, cells);
}

export function stampedeTable(rows: readonly StampedeRow[]): string {
  const head = [
    'who',
    'what',
    'rounds',
    'loader calls',
    'answers',
    'rejections',
    'different errors',
    'last answer after, median',
    'worst',
  ];
  return table(head, rows.map(stampedeCells));
}

function stampedeCells({ who, kind, rounds }: StampedeRow): readonly string[] {
  const times = rounds.map(({ tookMs }) => tookMs);
  const each = (count: (round: StampedeRow['rounds'][number]) => number): string => {
    const counts = rounds.map(count);
    const [least, most] = [Math.min(...counts), Math.max(...counts)];
    return least === most ? n(least) : `${n(least)}–${n(most)}`;
  };
  return [
    who,
    kind,
    n(rounds.length),
    each(({ calls }) => calls),
    each(({ answers }) => answers.length),
    each(({ errors }) => errors.length),
    each(({ errors }) => new Set(errors).size),
    `${Math.round(median(times))} ms`,
    `${Math.round(Math.max(...times))} ms`,
  ];
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

export async function evidence(setting: Setting, results: Results): Promise<string> {
  const total = results.hunts.reduce((sum, { outcome }) => sum + outcome.operations, 0);
  const parts = [
    await preamble(setting, results, total),
    ...section(results.hunts, HUNT_TEXT(setting), huntTable),
    ...section(results.disturbed, DISTURBED_TEXT, huntTable),
    ...section(results.mutations, MUTATION_TEXT, mutationTable),
    ...section(results.compared, COMPARED_TEXT, comparedTable),
    ...section(results.stampedes, STAMPEDE_TEXT(setting), stampedeTable),
  ];
  return `${parts.join('\n\n')}\n`;
}

function section<Row>(rows: readonly Row[], text: string, show: (rows: readonly Row[]) => string): string[] {
  return rows.length === 0 ? [] : [text, show(rows)];
}

async function preamble({ command, seed, date }: Setting, results: Results, total: number): Promise<string> {
  const { version } = await serverBinary();
  const [cpu] = cpus();
  return [
    '# Race hunt and stampede',
    '',
    `- ${date}, ${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux, shared with other work`,
    `- Node ${process.version}, Redis ${version.join('.')}, commit ${commit()}`,
    `- command: \`${command}\`, seed ${seed}, ${results.minutes.toFixed(1)} minutes`,
    `- ${n(total)} operations in the hunt; gates that do not hold: ${results.broken.length}`,
    ...results.broken.map((sentence) => `- BROKEN ${sentence}`),
    ...(results.missing.length === 0 ? [] : [`- UNFINISHED, not run yet: ${results.missing.join(', ')}`]),
  ].join('\n');
}

const HUNT_TEXT = ({ processes }: Setting): string => `## The hunt

${processes} processes read (\`get\`, \`getMany\`, \`getOrSet\` and \`getOrSetMany\` with slow loaders, some of which fail, are given up,
name their tags late, store nothing or may be answered with stale values) and invalidate (\`set\`, \`delete\`, \`deleteMany\`,
\`invalidateTags\`, \`deletePrefix\`, \`flush\`) the same keys at random. The origin is another server: a version per key. Every
read notes when it began and which version it was answered, every invalidation when it was acknowledged and which
version was in the origin before it, by the machine's monotonic clock, which its processes share. A read that began
after an acknowledgement and was answered an older version is stale. Without L1 a stale read is a violation. With L1 it
is one if it began more than 50 ms after the acknowledgement, or at all in the process that had invalidated.

*invalidated*: acknowledged invalidations of a key; one \`flush\` is one for every key. *lag*: of stale reads, how long
after the acknowledgement they began. *late by stall*: stale for more than 50 ms, but not when the time is left out in
which the reader's process did not get to run at all (it measures that itself, every 5 ms); counted apart, and in the
maximum. *longest stall*: of any process.`;

const DISTURBED_TEXT = `## Other ways and worse days

*by bus*: processes tell each other by pub/sub, as where a server refuses tracking; held to the same gates. *cut*: all
tracking, bus and wake-up connections are killed every 400 ms. Tracking is held to the same gates then; who hears by bus
notices when his own beats do not come back, and may answer for a second from what he held. *failover*: every few
seconds a planned failover, or a primary is killed and comes back later. Redis replicates asynchronously, so a failover
may take back invalidations that were acknowledged, and what they removed is there again: no client can know. These rows
are therefore not held to a gate. Errors are calls that rejected, as they should while a primary is away.`;

const MUTATION_TEXT = `## Does the hunt notice?

The same hunt over a copy of ours with one fence left out, until the first violation.`;

const COMPARED_TEXT = `## Beside others

Three processes, eight seconds each, the same program for all: only what all of them offer (where there are no tags, the
keys are deleted). bentocache with memory, Redis and its bus; cache-manager with memory for 60 s, as in its readme, and
@keyv/redis. cache-manager has nothing that would tell other processes of a change, so its memory answers until it
expires: that is its design, not a race.`;

const STAMPEDE_TEXT = ({ stampede, leaseMs }: Setting): string => `## Stampede

${stampede.processes} processes × ${stampede.callers} callers at once on one cold key, the loader takes ${stampede.loadMs} ms; lease ${leaseMs} ms. *fails*: the loader
throws. *owner killed*: the process that loads is killed with SIGKILL while it loads; its callers die with it, its call
is counted, and the time is from its death. Each process has rehearsed before, with keys of its own, and all begin at the
same moment of the machine's clock. Counts are those of every round.`;

export function rivalsLine(): string {
  return `bentocache ${versionOf('bentocache')}, cache-manager ${versionOf('cache-manager')} with @keyv/redis ${versionOf('@keyv/redis')}`;
}

/** What was hunted: the commit, and whether the library has changed since. */
function commit(): string {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['--no-optional-locks', ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    const name = git('rev-parse', '--short', 'HEAD');
    return git('diff', '--name-only', 'HEAD', '--', 'libs') === ''
      ? name
      : `${name} and what has changed since`;
  } catch {
    return 'none yet';
  }
}
