/** A message that kills the process that handles it, again and again, in front of many that harm nobody. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { startStandalone, until, type Standalone } from '../topology/index.js';
import { GROUP, KILLER, type MemberPlan } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
const OTHERS = Array.from({ length: 10 }, (_, number) => number);
/** Fewer than the processes that die: neighbours that were counted each time would be dead letters, too. */
const MAX_DELIVERIES = 2;

let server: Standalone;
let publisher: Redis;
let member: ChildProcess | undefined;

beforeAll(async () => {
  server = await startStandalone();
  publisher = createRedis({ url: server.url, timeout: '5s' }, {});
  await publisher.connect();
});

afterAll(async () => {
  member?.kill('SIGKILL');
  await publisher.disconnect();
  await server.stop();
});

it('becomes a dead letter alone', { timeout: 60_000 }, async () => {
  const channel = 'killing';
  const { pubsub } = publisher;
  for (const data of [KILLER, ...OTHERS]) await pubsub.publish(channel, data, GROUP);
  const plan: MemberPlan = { url: server.url, channel, maxDeliveries: MAX_DELIVERIES };
  const handled: number[] = [];
  let deaths = 0;
  const over = new AbortController();
  const fleet = (async () => {
    while (!over.signal.aborted) {
      member = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      member.on('message', (data) => handled.push(Number(data)));
      member.send(plan);
      await once(member, 'exit');
      deaths += 1;
    }
  })();
  await until(() => handled.length >= OTHERS.length, { what: 'the others', timeout: 40_000 });
  await until(async () => (await pubsub.deadLetters(channel, GROUP)).length > 0, { what: 'the dead letter' });
  const killed = deaths;
  over.abort();
  member?.kill('SIGKILL');
  await fleet;
  const letters = await pubsub.deadLetters(channel, GROUP);
  expect(letters.map(({ data, deliveries }) => [data, deliveries])).toEqual([[KILLER, MAX_DELIVERIES]]);
  expect(handled.toSorted((a, b) => a - b)).toEqual(OTHERS);
  expect(killed).toBe(MAX_DELIVERIES);
});
