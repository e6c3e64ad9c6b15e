/** What a row of the fault matrix is made of: a stage with real servers, a fault, its end, and what is asked of us. */
import type { FaultProxy, RedisProcess } from '../topology/index.js';
import type { Expectations } from './fault-report.js';
import type { Subject, SubjectKind, Target } from './subject.js';

/** The servers of one row and how a client finds them. */
export interface Stage {
  readonly target: Target;
  /** Every server that may hold keys. */
  readonly servers: readonly RedisProcess[];
  readonly proxy?: FaultProxy;
  stop(): Promise<void>;
}

export interface RunSettings {
  readonly seed: number;
  /** The long form gives every fault more time. */
  readonly long: boolean;
}

/** What a row may do while it is run. */
export interface FaultRun extends RunSettings {
  readonly subject: Subject;
  /** In [0, 1), from the seed. */
  readonly random: () => number;
  wait(ms: number): Promise<void>;
  /** Picks by form: `ms(600, 3000)`. */
  ms(short: number, long: number): number;
  /** A call beside the steady load, recorded with the others. */
  issue(what: string, call: () => Promise<unknown>): Promise<void>;
  /** An increment of a counter of its own, beside the steady load and judged like those in it. */
  increment(): Promise<void>;
  /** The moment from which recovery counts, when it is not the end of `heal`. */
  markRecovery(): void;
  /** Reads of the steady load that have failed so far. */
  failedReads(): number;
  /** Whether the client's status, its error events, or the errors of calls name the reason. */
  clientSays(reason: string): boolean;
  /** Ends the steady load before its time. */
  stopLoad(): void;
  resumeLoad(): void;
  /** A further figure for the table and for `judge`. */
  fact(name: string, value: number): void;
}

/** A row of the matrix; its number has a letter where it has several variants: `'3'`, `'23a'`. */
export interface FaultRow<S extends Stage = Stage> extends Expectations {
  /** How long the fault stays, and how long is watched after it, in milliseconds: `[short, long]`. */
  readonly fault: readonly [number, number];
  readonly after: readonly [number, number];
  /** @default ['stock'] */
  readonly rivals?: readonly SubjectKind[];

  prepare(settings: RunSettings): Promise<S>;
  /** After the keys were written and before the subject is made. */
  beforeOpen?(stage: S): Promise<void>;
  inject(stage: S, run: FaultRun): Promise<void>;
  heal?(stage: S, run: FaultRun): Promise<void>;
}

/** Lets a row use its own kind of stage. */
export function faultRow<S extends Stage>(row: FaultRow<S>): FaultRow {
  return row;
}
