/** One hunt from the parent's side: opens the fleet, lets it run until there is enough, judges what it sees. */
import { randomBytes } from 'node:crypto';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { openFleet, type Member } from './fleet.js';
import { Judge, type Verdict } from './judge.js';
import type { Mutation, SubjectKind } from './orders.js';

export interface HuntOrder {
  readonly fleet: readonly Member[];
  /** @default 'ours' */
  readonly subject?: SubjectKind;
  readonly options: RedisModuleOptions;
  readonly originUrl: string;
  readonly seed: number;
  readonly mutation?: Mutation | undefined;
  /** Ours alone has these. @default true for ours */
  readonly extras?: boolean;
  /** The same for all who are compared. @default few keys without near cache, more with one */
  readonly load?: { readonly keys: number; readonly pauseMs: number };
  /** How long a process may answer what another has invalidated. @default 50 with a near cache, 0 without */
  readonly toleranceMs?: number;
  /** The end, whichever comes first. */
  readonly enough: { readonly operations?: number; readonly ms?: number; readonly violations?: number };
  /** Happens beside it. */
  readonly meanwhile?: (until: AbortSignal) => Promise<void>;
  readonly onProgress?: (soFar: Verdict) => void;
}

export interface HuntOutcome extends Verdict {
  readonly tookMs: number;
  /** From the order to stop until the last process had settled what was under way. */
  readonly settledMs: number;
}

/** How long a process may still answer from its memory what another one has invalidated. */
export const TOLERANCE_MS = 50;
const LOOK_EVERY_MS = 25;
const PROGRESS_EVERY_MS = 5_000;
const LEASE = '2s';

/** Few keys make races frequent; in a near cache, what goes wrong has to lie there for a while to be seen. */
const REMOTE = { keys: 12, pauseMs: 6 };
export const NEAR = { keys: 48, pauseMs: 6 };

export async function runHunt(order: HuntOrder): Promise<HuntOutcome> {
  const { fleet, subject = 'ours', options, originUrl, seed, mutation } = order;
  const near = subject !== 'ours' || options.cache?.l1 !== false;
  const judge = new Judge(fleet.length, order.toleranceMs ?? (near ? TOLERANCE_MS : 0));
  const cacheName = randomBytes(6).toString('hex');
  await openFleet(fleet, { subject, options, originUrl, cacheName, lease: LEASE, mutation });
  const extras = order.extras ?? subject === 'ours';
  for (const [index, member] of fleet.entries()) {
    member.onSeen = (seen) => judge.hear(index, seen);
    const plan = { ...(order.load ?? (near ? NEAR : REMOTE)), seed, index, processes: fleet.length, extras };
    member.tell({ kind: 'hunt', plan });
  }
  const startedAt = performance.now();
  const over = new AbortController();
  const beside = order.meanwhile?.(over.signal);
  await untilEnough(order, judge, startedAt);
  const enoughAt = performance.now();
  for (const member of fleet) member.tell({ kind: 'enough' });
  const words = await Promise.all(fleet.map((member) => member.hear('hunted')));
  const endedAt = performance.now();
  over.abort();
  await beside;
  const verdict = judge.verdict(words.map(({ figures }) => figures));
  return { ...verdict, tookMs: endedAt - startedAt, settledMs: endedAt - enoughAt };
}

async function untilEnough(
  { fleet, enough, onProgress }: HuntOrder,
  judge: Judge,
  from: number,
): Promise<void> {
  const { operations = Infinity, ms = Infinity, violations = Infinity } = enough;
  let told = from;
  for (;;) {
    const now = performance.now();
    if (judge.operations >= operations || judge.violations >= violations || now - from >= ms) return;
    const dead = fleet.findIndex(
      ({ process: { exitCode, signalCode } }) => (exitCode ?? signalCode) !== null,
    );
    if (dead !== -1) throw new Error(`process ${dead} of the hunt has ended`);
    if (now - told >= PROGRESS_EVERY_MS) {
      told = now;
      onProgress?.(judge.verdict());
    }
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS);
    });
  }
}
