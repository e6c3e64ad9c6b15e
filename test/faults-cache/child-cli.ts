/** A process of the fleet: opens a cache, and does what the parent says. Loaded by child.mjs. */
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { Hunt } from './hunt.js';
import type { OpenOrder, Order, StampedePlan, StampedeReport, Word } from './orders.js';
import { openOurs } from './ours.js';
import { openRival } from './rivals.js';
import { microseconds } from './stall-meter.js';
import type { Subject } from './subject.js';

interface Opened {
  readonly subject: Subject;
  readonly origin: Redis;
  readonly name: string;
}

let opened: Opened | undefined;
let hunting: Hunt | undefined;
let go: (() => void) | undefined;

function say(word: Word): void {
  if (process.connected) process.send?.(word);
}

async function open(order: OpenOrder): Promise<Opened> {
  if (opened !== undefined) await close(opened);
  const origin = createRedis({ url: order.originUrl, namespace: 'origin', timeout: '5s' }, {});
  await origin.connect();
  const subject = await (order.subject === 'ours' ? openOurs(order) : openRival(order.subject, order));
  return { subject, origin, name: order.cacheName };
}

async function close({ subject, origin }: Opened): Promise<void> {
  await Promise.all([subject.close(), origin.disconnect()]);
}

async function stampede({ subject, origin }: Opened, plan: StampedePlan): Promise<StampedeReport> {
  await subject.get(0);
  for (let i = 0; i < plan.rehearsals; i += 1) {
    const own = `rehearsal:${process.pid}:${i}`;
    await Promise.all(Array.from({ length: plan.callers }, () => subject.load(own, async () => own)));
  }
  let calls = 0;
  const load = async (): Promise<string> => {
    calls += 1;
    if (plan.firstHangs && (await origin.adapter.set(`hung:${plan.key}`, true, { when: 'absent' }))) {
      say({ kind: 'loading' });
      await new Promise(() => undefined);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, plan.loadMs);
    });
    if (plan.fails) throw Object.assign(new TypeError('the origin is down'), { code: 'E_ORIGIN' });
    return 'loaded';
  };
  say({ kind: 'poised' });
  await theGo();
  const firstAt = microseconds();
  const outcomes = await Promise.allSettled(
    Array.from({ length: plan.callers }, () => subject.load(plan.key, load)),
  );
  return {
    calls,
    answers: outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])),
    errors: outcomes.flatMap((each) => (each.status === 'rejected' ? [described(each.reason)] : [])),
    firstAt,
    lastAt: microseconds(),
  };
}

function theGo(): Promise<void> {
  return new Promise((resolve) => {
    go = resolve;
  });
}

function described(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return [reason.name, reason.message, Reflect.get(reason, 'code')].join('|');
}

async function obey(order: Order): Promise<void> {
  if (order.kind === 'open') {
    opened = await open(order);
    say({ kind: 'ready' });
    return;
  }
  if (opened === undefined) throw new Error('nothing is open');
  const { subject, origin, name } = opened;
  switch (order.kind) {
    case 'hunt':
      hunting = new Hunt({ subject, origin: origin.adapter, plan: order.plan, name, tell: say });
      await hunting.run();
      say({ kind: 'hunted', figures: subject.figures() });
      break;
    case 'enough':
      hunting?.stop();
      break;
    case 'go':
      setTimeout(() => go?.(), (order.at - microseconds()) / 1_000);
      break;
    case 'stampede':
      say({ kind: 'stampeded', report: await stampede(opened, order.plan) });
      break;
    case 'leave':
      await leave(opened);
      break;
  }
}

/** The database is no part of what has to be gone: the cache is asked to leave first, and is not waited for by it. */
async function leave({ subject, origin }: Opened): Promise<void> {
  await subject.close();
  await origin.disconnect();
  await settled();
  say({ kind: 'left', holding: process.getActiveResourcesInfo() });
  process.off('disconnect', end);
  process.disconnect();
}

/** Sockets are gone one turn after they were closed. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function end(): never {
  process.exit();
}

export function runChild(): void {
  process.on('message', (order) => void obey(order as Order));
  process.on('disconnect', end);
  say({ kind: 'ready' });
}
