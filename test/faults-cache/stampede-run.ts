/** Many callers in many processes on one cold key, from the parent's side. */
import { randomBytes } from 'node:crypto';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { until } from '../topology/index.js';
import { openFleet, startFleet, type Member } from './fleet.js';
import type { StampedePlan, StampedeReport, SubjectKind } from './orders.js';
import { microseconds } from './stall-meter.js';

export type StampedeKind = 'loads' | 'fails' | 'owner killed';

export interface StampedeOrder {
  readonly fleet: readonly Member[];
  readonly kind: StampedeKind;
  /** @default 'ours' */
  readonly subject?: SubjectKind;
  readonly options: RedisModuleOptions;
  readonly originUrl: string;
  readonly callers: number;
  readonly loadMs: number;
  readonly leaseMs: number;
  /** @default 0 */
  readonly rehearsals?: number;
}

export interface StampedeOutcome {
  /** Loader calls, that of a killed process among them. */
  readonly calls: number;
  readonly answers: readonly string[];
  readonly errors: readonly string[];
  /** From the first call, or from the death of the owner, to the last answer. */
  readonly tookMs: number;
  /** Between the first and the last process to begin. */
  readonly skewMs: number;
  /** The fleet, with somebody new for whoever was killed. */
  readonly fleet: readonly Member[];
}

/** The word reaches every process within this time. */
const HEADS_UP_US = 100_000;

export async function runStampede(order: StampedeOrder): Promise<StampedeOutcome> {
  const { fleet, kind, subject = 'ours', options, originUrl, leaseMs } = order;
  const cacheName = randomBytes(6).toString('hex');
  const lease = `${leaseMs}ms`;
  await openFleet(fleet, { subject, options, originUrl, cacheName, lease, mutation: undefined });
  const plan: StampedePlan = {
    callers: order.callers,
    rehearsals: order.rehearsals ?? 0,
    loadMs: order.loadMs,
    fails: kind === 'fails',
    firstHangs: kind === 'owner killed',
    key: randomBytes(6).toString('hex'),
  };
  for (const member of fleet) member.tell({ kind: 'stampede', plan });
  await Promise.all(fleet.map((member) => member.hear('poised')));
  const at = microseconds() + HEADS_UP_US;
  for (const member of fleet) member.tell({ kind: 'go', at });
  return kind === 'owner killed' ? withoutOwner(fleet) : together(fleet);
}

async function together(fleet: readonly Member[]): Promise<StampedeOutcome> {
  const reports = await reportsOf(fleet);
  const from = Math.min(...reports.map((each) => each.firstAt));
  return { ...told(reports, from), fleet };
}

async function withoutOwner(fleet: readonly Member[]): Promise<StampedeOutcome> {
  const owner = await until(() => fleet.find((member) => member.take('loading') !== undefined), {
    what: 'the first loader',
    every: 2,
  });
  owner.kill();
  const killedAt = microseconds();
  const rest = fleet.filter((member) => member !== owner);
  const { calls, ...others } = told(await reportsOf(rest), killedAt);
  await owner.stop();
  return { ...others, calls: calls + 1, fleet: [...rest, ...(await startFleet(1))] };
}

async function reportsOf(members: readonly Member[]): Promise<readonly StampedeReport[]> {
  const words = await Promise.all(members.map((member) => member.hear('stampeded')));
  return words.map(({ report }) => report);
}

function told(reports: readonly StampedeReport[], from: number): Omit<StampedeOutcome, 'fleet'> {
  const begun = reports.map((each) => each.firstAt);
  return {
    calls: reports.reduce((sum, each) => sum + each.calls, 0),
    answers: reports.flatMap((each) => each.answers),
    errors: reports.flatMap((each) => each.errors),
    tookMs: (Math.max(...reports.map((each) => each.lastAt)) - from) / 1_000,
    skewMs: (Math.max(...begun) - Math.min(...begun)) / 1_000,
  };
}
