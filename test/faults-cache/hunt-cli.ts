/**
 * The long form of the race hunt and of the stampede on the command line.
 *
 * `--operations n` of the hunt in all · `--seed n` · `--processes n` · `--places standalone,sentinel,cluster` ·
 * `--only hunt,bus,cut,mutations,stampede` · `--mutate name` (that mutation and nothing else; `all`) · `--rivals` beside ·
 * `--failover` beside · `--write` the evidence, with `--date` if not today's.
 */
import { writeFile } from 'node:fs/promises';
import { startStandalone } from '../topology/index.js';
import { startFleet, stopFleet, type Member } from './fleet.js';
import { PLACE_NAMES, startPlace, type Place, type PlaceName } from './hunt-places.js';
import {
  comparedTable,
  evidence,
  huntTable,
  median,
  mutationTable,
  rivalsLine,
  stampedeTable,
  type HuntRow,
  type MutationRow,
  type Results,
  type Setting,
  type StampedeRow,
} from './hunt-report.js';
import { NEAR, runHunt, TOLERANCE_MS, type HuntOrder, type HuntOutcome } from './hunt-run.js';
import type { Verdict } from './judge.js';
import { NEAR_MUTATIONS, REMOTE_MUTATIONS, RIVALS, type Mutation, type SubjectKind } from './orders.js';
import { runStampede, type StampedeKind, type StampedeOutcome } from './stampede-run.js';

type Part = (typeof PARTS)[number];
/** How a process hears of what others change, if it keeps copies at all. */
type Near = keyof typeof NEAR_OPTIONS;
/** In this order: how long stampedes take says little when the machine is hot from the hunt. */
const PARTS = ['stampede', 'hunt', 'mutations', 'rivals', 'bus', 'cut', 'failover'] as const;

const NEAR_OPTIONS = {
  'no L1': { l1: false },
  L1: { l1: { sync: 'tracking' } },
  'L1 by bus': { l1: { sync: 'bus' } },
} as const;

interface Options {
  readonly operations: number;
  readonly seed: number;
  readonly processes: number;
  readonly places: readonly PlaceName[];
  readonly parts: readonly Part[];
  readonly rivals: boolean;
  readonly mutations: readonly Mutation[];
  readonly write: boolean;
  readonly date: string;
  readonly command: string;
}

const NOTHING_YET: Results = {
  hunts: [],
  disturbed: [],
  mutations: [],
  compared: [],
  stampedes: [],
  broken: [],
  missing: [],
  minutes: 0,
};

const EVIDENCE = 'docs/evidence/race-hunt.md';
const COMPARED_PROCESSES = 3;
const COMPARED_MS = 8_000;
/** Of the operations, on top of them. */
const BUS_SHARE = 20;
/** Who hears by bus notices a cut when his own beats do not come back. */
const CUT_BUS_MS = 1_000;
const DISTURBED_MS = 20_000;
const CAUGHT_WITHIN_MS = 30_000;
const REHEARSALS = 5;
/** Of ours; what others do takes long and is the same every time. */
const ROUNDS = 5;
const STAMPEDE = { processes: 8, callers: 250, loadMs: 50 };
const LEASE_MS = 1_000;
/** On top of what a load or a lease takes. */
const ANSWERED_MS = { loads: 200, fails: 200, 'owner killed': 100 };
const STAMPEDES: readonly StampedeKind[] = ['loads', 'fails', 'owner killed'];
const ALL_MUTATIONS: readonly Mutation[] = [...REMOTE_MUTATIONS, ...NEAR_MUTATIONS];

/** @returns the exit code */
export async function runHunts(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  console.log(`seed ${options.seed}, ${options.processes} processes: ${options.parts.join(', ')}`);
  if (options.rivals) console.log(`beside ${rivalsLine()}`);
  const run = new HuntRun(options);
  try {
    // After each part, so that a run that is stopped leaves what it has shown.
    const results = await run.all(async (soFar) => {
      if (options.write) await writeFile(EVIDENCE, await evidence(settingOf(options), soFar));
    });
    console.log(`\n${tablesOf(results)}\n`);
    for (const sentence of results.broken) console.log(`GATE ${sentence}`);
    console.log(`${results.broken.length} gates broken; ${results.minutes.toFixed(1)} min`);
    return results.broken.length === 0 ? 0 : 1;
  } finally {
    await run.stop();
  }
}

function readOptions(args: readonly string[]): Options {
  const after = (flag: string): string | undefined => {
    const at = args.indexOf(flag);
    return at === -1 ? undefined : args[at + 1];
  };
  const listed = <T extends string>(flag: string, known: readonly T[]): readonly T[] | undefined => {
    const wanted = after(flag)?.split(',');
    const unknown = wanted?.find((word) => !known.some((each) => each === word));
    if (unknown !== undefined) throw new RangeError(`${flag}: '${unknown}' is none of ${known.join(', ')}`);
    return wanted === undefined ? undefined : known.filter((each) => wanted.includes(each));
  };
  const all = after('--mutate') === 'all';
  const mutate = all ? ALL_MUTATIONS : listed('--mutate', ALL_MUTATIONS);
  const rivals = args.includes('--rivals');
  const usual = PARTS.filter((part) => {
    if (part === 'rivals') return rivals;
    return part !== 'failover' || args.includes('--failover');
  });
  return {
    operations: Number(after('--operations') ?? 1_000_000),
    seed: Number(after('--seed') ?? Math.floor(Math.random() * 1e9)),
    processes: Number(after('--processes') ?? 4),
    places: listed('--places', PLACE_NAMES) ?? PLACE_NAMES,
    parts: mutate === undefined ? (listed('--only', PARTS) ?? usual) : ['mutations'],
    rivals,
    mutations: mutate ?? ALL_MUTATIONS,
    write: args.includes('--write'),
    date: after('--date') ?? new Date().toISOString().slice(0, 10),
    command: ['node test/faults-cache/hunt.mjs', ...args].join(' '),
  };
}

function settingOf({ command, seed, date, processes }: Options): Setting {
  return { command, seed, date, processes, stampede: STAMPEDE, leaseMs: LEASE_MS };
}

function tablesOf({ hunts, disturbed, mutations, compared, stampedes }: Results): string {
  const tables = [
    hunts.length + disturbed.length > 0 ? huntTable([...hunts, ...disturbed]) : '',
    mutations.length > 0 ? mutationTable(mutations) : '',
    compared.length > 0 ? comparedTable(compared) : '',
    stampedes.length > 0 ? stampedeTable(stampedes) : '',
  ];
  return tables.filter((each) => each !== '').join('\n\n');
}

/** Everything of one call of the command: its servers, its processes, what came out. */
class HuntRun {
  readonly #options: Options;
  readonly #places = new Map<PlaceName, Promise<Place>>();
  readonly #stops: (() => Promise<void>)[] = [];
  readonly #broken: string[] = [];
  #fleet: readonly Member[] = [];
  #originUrl = '';

  constructor(options: Options) {
    this.#options = options;
  }

  async all(onPart: (soFar: Results) => Promise<void>): Promise<Results> {
    const startedAt = performance.now();
    const origin = await startStandalone();
    this.#stops.push(() => origin.stop());
    this.#originUrl = origin.url;
    let results: Results = { ...NOTHING_YET, broken: this.#broken };
    const wanted = PARTS.filter((each) => this.#options.parts.includes(each));
    for (const [index, part] of wanted.entries()) {
      if (part !== 'stampede' && this.#fleet.length !== this.#options.processes) {
        await this.#staff(this.#options.processes);
      }
      results = { ...results, ...(await this.#part(part, results)) };
      const minutes = (performance.now() - startedAt) / 60_000;
      results = { ...results, missing: wanted.slice(index + 1), minutes };
      await onPart(results);
    }
    return results;
  }

  async #part(part: Part, { disturbed }: Results): Promise<Partial<Results>> {
    switch (part) {
      case 'stampede':
        return { stampedes: await this.#stampedes() };
      case 'hunt':
        return { hunts: await this.#hunts() };
      case 'mutations':
        return { mutations: await this.#mutations() };
      case 'rivals':
        return { compared: await this.#compared() };
      case 'bus':
        return { disturbed: [...disturbed, ...(await this.#bus())] };
      case 'cut':
        return { disturbed: [...disturbed, ...(await this.#cut())] };
      case 'failover':
        return { disturbed: [...disturbed, ...(await this.#failovers())] };
    }
  }

  async stop(): Promise<void> {
    await stopFleet(this.#fleet);
    await Promise.all(this.#stops.map((stop) => stop()));
  }

  async #staff(processes: number): Promise<void> {
    await stopFleet(this.#fleet);
    this.#fleet = await startFleet(processes);
  }

  #place(name: PlaceName): Promise<Place> {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = startPlace(name);
      this.#places.set(name, place);
      this.#stops.push(async () => (await place)?.stop());
    }
    return place;
  }

  #gate(holds: boolean, sentence: string): void {
    if (!holds) this.#broken.push(sentence);
  }

  // -- the hunt ---------------------------------------------------------------------------------------------

  async #hunts(): Promise<readonly HuntRow[]> {
    const { operations, places } = this.#options;
    const each = Math.ceil(operations / (places.length * 2));
    const rows: HuntRow[] = [];
    for (const place of places) {
      for (const near of ['no L1', 'L1'] as const) {
        const what = `${place}, ${near}`;
        const outcome = await this.#hunt(what, place, near, { enough: { operations: each } });
        this.#gateHunt(what, outcome);
        rows.push({ what, outcome });
      }
    }
    return rows;
  }

  async #hunt(
    what: string,
    place: PlaceName,
    near: Near,
    order: Pick<HuntOrder, 'enough'> & Partial<HuntOrder>,
  ): Promise<HuntOutcome> {
    const { options } = await this.#place(place);
    const outcome = await runHunt({
      fleet: this.#fleet,
      options: { ...options, cache: NEAR_OPTIONS[near] },
      originUrl: this.#originUrl,
      seed: this.#options.seed,
      onProgress: (soFar) => console.log(progressLine(what, soFar)),
      ...order,
    });
    console.log(`${progressLine(what, outcome)}, done in ${Math.round(outcome.tookMs / 1_000)} s`);
    for (const text of outcome.errorTexts) console.log(`  error: ${text}`);
    if (order.mutation === undefined && (order.subject ?? 'ours') === 'ours') {
      for (const each of outcome.cases) console.log(`  violation: ${JSON.stringify(each)}`);
    }
    return outcome;
  }

  #gateHunt(what: string, outcome: HuntOutcome): void {
    this.#gate(outcome.violations === 0, `${what}: ${outcome.violations} violations`);
    this.#gate(outcome.wrong === 0, `${what}: ${outcome.wrong} answers of another key`);
    this.#gate(outcome.unjudged === 0, `${what}: ${outcome.unjudged} reads could not be judged`);
    this.#gate(
      outcome.errors + outcome.failures === 0,
      `${what}: ${outcome.errors + outcome.failures} errors`,
    );
    this.#gate(outcome.hits > outcome.reads / 10, `${what}: nothing was cached, so nothing was shown`);
    const lively = outcome.acknowledged > outcome.operations / 20 && outcome.refusedFills > 0;
    this.#gate(lively, `${what}: next to nothing was invalidated, so nothing was shown`);
  }

  /** Where the server does not announce changes itself. */
  async #bus(): Promise<readonly HuntRow[]> {
    const what = 'standalone, L1 by bus';
    const enough = { operations: Math.ceil(this.#options.operations / BUS_SHARE) };
    const outcome = await this.#hunt(what, 'standalone', 'L1 by bus', { enough });
    this.#gateHunt(what, outcome);
    return [{ what, outcome }];
  }

  async #cut(): Promise<readonly HuntRow[]> {
    const { disturb } = await this.#place('standalone');
    const meanwhile = async (until: AbortSignal): Promise<void> => void (await disturb(until));
    const rows: HuntRow[] = [];
    for (const near of ['L1', 'L1 by bus'] as const) {
      const what = `standalone, ${near}, cut`;
      const toleranceMs = near === 'L1' ? TOLERANCE_MS : CUT_BUS_MS;
      const order = { enough: { ms: DISTURBED_MS }, meanwhile, toleranceMs };
      const outcome = await this.#hunt(what, 'standalone', near, order);
      this.#gate(outcome.violations === 0, `${what}: ${outcome.violations} violations`);
      rows.push({ what, outcome });
    }
    return rows;
  }

  /** Not held to the gates: see hunt-report.ts. */
  async #failovers(): Promise<readonly HuntRow[]> {
    const rows: HuntRow[] = [];
    for (const place of this.#options.places.filter((name) => name !== 'standalone')) {
      for (const near of ['no L1', 'L1'] as const) {
        const { disturb } = await this.#place(place);
        let times = 0;
        const meanwhile = async (until: AbortSignal): Promise<void> => {
          times = await disturb(until);
        };
        const name = `${place}, ${near}, failover`;
        const outcome = await this.#hunt(name, place, near, { enough: { ms: DISTURBED_MS * 2 }, meanwhile });
        rows.push({ what: `${name} × ${times}`, outcome });
      }
    }
    return rows;
  }

  // -- copies of ours with a fence left out -----------------------------------------------------------------

  async #mutations(): Promise<readonly MutationRow[]> {
    const rows: MutationRow[] = [];
    for (const mutation of this.#options.mutations) {
      const near = NEAR_MUTATIONS.some((each) => each === mutation) ? 'L1' : 'no L1';
      const { disturb } = await this.#place('standalone');
      const meanwhile = async (until: AbortSignal): Promise<void> => void (await disturb(until));
      const outcome = await this.#hunt(`without ${mutation}`, 'standalone', near, {
        mutation,
        enough: { violations: 1, ms: CAUGHT_WITHIN_MS },
        ...(mutation === 'interruptions-unheard' ? { meanwhile } : {}),
      });
      this.#gate(outcome.violations > 0, `${mutation} is not noticed`);
      rows.push({ mutation, outcome });
    }
    return rows;
  }

  // -- beside others ----------------------------------------------------------------------------------------

  async #compared(): Promise<readonly HuntRow[]> {
    const fleet = this.#fleet.slice(0, COMPARED_PROCESSES);
    const shared = { fleet, extras: false, load: NEAR, enough: { ms: COMPARED_MS } };
    const rows: HuntRow[] = [];
    for (const near of ['no L1', 'L1'] as const) {
      const what = `ours, ${near}`;
      const outcome = await this.#hunt(what, 'standalone', near, shared);
      this.#gateHunt(`beside others, ${what}`, outcome);
      rows.push({ what, outcome });
    }
    for (const subject of RIVALS) {
      const order = { ...shared, subject, toleranceMs: TOLERANCE_MS, mutation: undefined };
      const outcome = await this.#hunt(subject, 'standalone', 'L1', order);
      rows.push({ what: subject, outcome });
    }
    return rows;
  }

  // -- many callers on one cold key -------------------------------------------------------------------------

  async #stampedes(): Promise<readonly StampedeRow[]> {
    await this.#staff(STAMPEDE.processes);
    const rows: StampedeRow[] = [];
    for (const place of this.#options.places) {
      for (const kind of STAMPEDES) {
        const row = await this.#stampede(place, { kind, subject: 'ours', rounds: ROUNDS });
        this.#gateStampede(row);
        rows.push(row);
      }
    }
    for (const subject of this.#options.rivals ? RIVALS : []) {
      for (const kind of STAMPEDES)
        rows.push(await this.#stampede('standalone', { kind, subject, rounds: 1 }));
    }
    return rows;
  }

  async #stampede(
    place: PlaceName,
    { kind, subject, rounds }: { kind: StampedeKind; subject: SubjectKind; rounds: number },
  ): Promise<StampedeRow> {
    const { options } = await this.#place(place);
    const { callers, loadMs } = STAMPEDE;
    const sizes = { callers, loadMs, leaseMs: LEASE_MS, rehearsals: REHEARSALS };
    const who = subject === 'ours' ? `ours, ${place}` : subject;
    const outcomes: Omit<StampedeOutcome, 'fleet'>[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const from = { fleet: this.#fleet, options, originUrl: this.#originUrl };
      const { fleet, ...outcome } = await runStampede({ ...from, ...sizes, kind, subject });
      this.#fleet = fleet;
      outcomes.push(outcome);
      const [took, skew] = [outcome.tookMs, outcome.skewMs].map(Math.round);
      console.log(`${who}, ${kind}: ${outcome.calls} calls, ${took} ms, begun within ${skew} ms`);
    }
    return { who, kind, rounds: outcomes };
  }

  #gateStampede({ who, kind, rounds }: StampedeRow): void {
    const what = `stampede, ${who}, ${kind}`;
    const { processes, callers, loadMs } = STAMPEDE;
    const killed = kind === 'owner killed';
    const owed = (killed ? processes - 1 : processes) * callers;
    for (const { calls, answers, errors } of rounds) {
      const told = kind === 'fails' ? errors.length : answers.length;
      this.#gate(calls === (killed ? 2 : 1), `${what}: ${calls} loader calls`);
      this.#gate(told === owed, `${what}: ${told} of ${owed} callers were told`);
      this.#gate(new Set(errors).size <= 1, `${what}: different errors`);
    }
    const limit = (killed ? LEASE_MS : loadMs) + ANSWERED_MS[kind];
    const took = median(rounds.map(({ tookMs }) => tookMs));
    this.#gate(took <= limit, `${what}: ${Math.round(took)} ms, not ${limit}`);
  }
}

function progressLine(what: string, soFar: Verdict): string {
  const { operations, hits, acknowledged, stale, violations, worstMs } = soFar;
  return (
    `${what}: ${operations.toLocaleString('en')} operations, ${hits.toLocaleString('en')} hits, ` +
    `${acknowledged.toLocaleString('en')} invalidated, ${stale} stale (worst ${worstMs.toFixed(1)} ms), ${violations} violations`
  );
}
