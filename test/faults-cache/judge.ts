/**
 * The model of the race hunt: what a read may answer, given what was acknowledged before it began. It judges
 * while the hunt goes on, in bounded memory: a read is judged when every process has told all that was
 * acknowledged to it until that read began.
 */
import { Floors, type Floor } from './floors.js';
import { LagHistogram } from './lag-histogram.js';
import { NUMBERS_EACH, OPERATIONS, type Figures, type Operation, type Seen } from './orders.js';

export interface Verdict extends Figures {
  readonly operations: number;
  readonly reads: number;
  readonly hits: number;
  readonly acknowledged: number;
  readonly errors: number;
  /** Answers that were another key's. */
  readonly wrong: number;
  /** Reads that answered what was before an invalidation acknowledged before they began. */
  readonly stale: number;
  /** Stale for longer than 50 ms, whatever is tolerated. */
  readonly stale50: number;
  /** How long after the acknowledgement stale reads began, in milliseconds. */
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  readonly worstMs: number;
  /** Stale for longer than tolerated, or in the very process that had invalidated. */
  readonly violations: number;
  /** Stale for longer than tolerated, but not if the time is left out in which the reader's process stood still. */
  readonly lateByStall: number;
  /** Too old to be judged; there should be none. */
  readonly unjudged: number;
  /** The longest any process stood still, in milliseconds. */
  readonly stallMs: number;
  /** The first violations, in full. */
  readonly cases: readonly Case[];
  readonly errorTexts: readonly string[];
}

/** Enough to find the place in the code. */
export interface Case {
  readonly key: number;
  readonly answered: number;
  readonly by: Operation | undefined;
  readonly reader: number;
  readonly owed: number;
  readonly since: Operation | undefined;
  readonly writer: number;
  readonly lagMs: number;
  readonly stalledMs: number;
  readonly atMs: number;
}

interface Read {
  readonly reader: number;
  readonly key: number;
  readonly startedAt: number;
  readonly version: number;
  readonly operation: number;
}

interface Told {
  through: number;
  reads: Read[];
  acknowledged: { readonly key: number; readonly floor: Floor }[];
  stalls: number[];
  /** What this process itself was told: it owes that to its own readers at once. */
  readonly own: FloorsByKey;
}

const MOST_CASES = 10;
const MOST_STALLS = 4_000;
const LATE_US = 50_000;

class FloorsByKey {
  readonly #floors = new Map<number, Floors>();

  of(key: number): Floors {
    let floors = this.#floors.get(key);
    if (floors === undefined) this.#floors.set(key, (floors = new Floors()));
    return floors;
  }
}

export class Judge {
  readonly #toleranceUs: number;
  readonly #told: readonly Told[];
  readonly #floors = new FloorsByKey();
  readonly #lags = new LagHistogram();
  readonly #cases: Case[] = [];
  readonly #errorTexts = new Set<string>();
  readonly #counts = {
    operations: 0,
    reads: 0,
    hits: 0,
    acknowledged: 0,
    errors: 0,
    wrong: 0,
    stale: 0,
    stale50: 0,
    violations: 0,
    lateByStall: 0,
    unjudged: 0,
    stallMs: 0,
  };
  #beganAt: number | undefined;

  /** `toleranceMs`: how long a process may still answer what another one has invalidated. */
  constructor(processes: number, toleranceMs = 0) {
    this.#toleranceUs = toleranceMs * 1_000;
    this.#told = Array.from({ length: processes }, () => ({
      through: 0,
      reads: [],
      acknowledged: [],
      stalls: [],
      own: new FloorsByKey(),
    }));
  }

  get operations(): number {
    return this.#counts.operations;
  }

  get violations(): number {
    return this.#counts.violations;
  }

  /** What one process has to tell; its words have to come in their order. */
  hear(process: number, seen: Seen): void {
    const told = this.#told[process];
    if (told === undefined) throw new RangeError(`there is no process ${process}`);
    this.#count(seen);
    for (const [key, at, version, operation] of rows(seen.acknowledged)) {
      const floor = { at, version, operation, process };
      told.acknowledged.push({ key, floor });
      told.own.of(key).raise(floor);
    }
    for (const [key, startedAt, version, operation] of rows(seen.reads)) {
      if (version >= 0) told.reads.push({ reader: process, key, startedAt, version, operation });
    }
    this.#hearStalls(told, seen.stalls);
    told.through = seen.through;
    this.#judgeWhatIsComplete();
  }

  verdict(figures: readonly Figures[] = []): Verdict {
    const sum = (figure: keyof Figures): number => figures.reduce((total, each) => total + each[figure], 0);
    return {
      ...this.#counts,
      l1Hits: sum('l1Hits'),
      loads: sum('loads'),
      refusedFills: sum('refusedFills'),
      failures: sum('failures'),
      lagP50Ms: this.#lags.percentile(0.5),
      lagP99Ms: this.#lags.percentile(0.99),
      worstMs: this.#lags.longestMs,
      cases: this.#cases,
      errorTexts: [...this.#errorTexts],
    };
  }

  #count(seen: Seen): void {
    const counts = this.#counts;
    counts.operations += seen.operations;
    counts.errors += seen.errors;
    counts.wrong += seen.wrong;
    counts.acknowledged += seen.acknowledged.length / NUMBERS_EACH;
    counts.reads += seen.reads.length / NUMBERS_EACH;
    for (const text of seen.errorTexts) if (this.#errorTexts.size < MOST_CASES) this.#errorTexts.add(text);
  }

  #hearStalls(told: Told, stalls: Float64Array): void {
    for (let i = 0; i < stalls.length; i += 2) {
      const [from = 0, to = 0] = stalls.subarray(i, i + 2);
      told.stalls.push(from, to);
      this.#counts.stallMs = Math.max(this.#counts.stallMs, (to - from) / 1_000);
    }
    if (told.stalls.length > MOST_STALLS) told.stalls = told.stalls.slice(-MOST_STALLS / 2);
  }

  #judgeWhatIsComplete(): void {
    const complete = Math.min(...this.#told.map(({ through }) => through));
    const acknowledged = this.#told.flatMap((told) => {
      const [known, open] = split(told.acknowledged, ({ floor }) => floor.at < complete);
      told.acknowledged = open;
      return known;
    });
    acknowledged.sort((one, other) => one.floor.at - other.floor.at);
    for (const { key, floor } of acknowledged) this.#floors.of(key).raise(floor);
    for (const told of this.#told) {
      const [known, open] = split(told.reads, ({ startedAt }) => startedAt <= complete);
      told.reads = open;
      for (const read of known) this.#judge(read, told);
    }
  }

  #judge(read: Read, told: Told): void {
    this.#counts.hits += 1;
    this.#beganAt ??= read.startedAt;
    const broken = this.#floors.of(read.key).brokenBy(read.version, read.startedAt);
    const own = told.own.of(read.key).brokenBy(read.version, read.startedAt);
    if (broken === 'unknown' || own === 'unknown') this.#counts.unjudged += 1;
    if (broken === undefined || broken === 'unknown') return;
    const lag = read.startedAt - broken.at;
    this.#counts.stale += 1;
    if (lag > LATE_US) this.#counts.stale50 += 1;
    this.#lags.add(lag);
    if (typeof own === 'object') this.#violation(read, own, 0);
    else if (lag > this.#toleranceUs) {
      const stalled = stalledBetween(told.stalls, broken.at, read.startedAt);
      if (this.#toleranceUs > 0 && lag - stalled <= this.#toleranceUs) this.#counts.lateByStall += 1;
      else this.#violation(read, broken, stalled);
    }
  }

  #violation({ key, reader, startedAt, version, operation }: Read, broken: Floor, stalled: number): void {
    this.#counts.violations += 1;
    if (this.#cases.length === MOST_CASES) return;
    this.#cases.push({
      key,
      answered: version,
      by: OPERATIONS[operation],
      reader,
      owed: broken.version,
      since: OPERATIONS[broken.operation],
      writer: broken.process,
      lagMs: (startedAt - broken.at) / 1_000,
      stalledMs: stalled / 1_000,
      atMs: (startedAt - (this.#beganAt ?? startedAt)) / 1_000,
    });
  }
}

function* rows(numbers: Float64Array): Iterable<readonly [number, number, number, number]> {
  for (let i = 0; i < numbers.length; i += NUMBERS_EACH) {
    const [key = 0, at = 0, version = 0, operation = 0] = numbers.subarray(i, i + NUMBERS_EACH);
    yield [key, at, version, operation];
  }
}

function split<T>(all: readonly T[], belongs: (one: T) => boolean): [T[], T[]] {
  const [yes, no]: [T[], T[]] = [[], []];
  for (const one of all) (belongs(one) ? yes : no).push(one);
  return [yes, no];
}

function stalledBetween(stalls: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let i = 0; i < stalls.length; i += 2) {
    total += Math.max(0, Math.min(stalls[i + 1] ?? 0, to) - Math.max(stalls[i] ?? 0, from));
  }
  return total;
}
