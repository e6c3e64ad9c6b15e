/**
 * Messages under load while connections are cut again and again. Streams and groups lose none, what comes twice is
 * counted and bounded; mode pubsub tells of every gap. `MESSAGES` makes it longer: 100,000 is the full run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis, type Gap, type PubSub, type Redis } from '@anbar/nestjs-redis';
import {
  seededRandom,
  startFaultProxy,
  startStandalone,
  until,
  type FaultProxy,
  type Standalone,
} from '../topology/index.js';

const MESSAGES = Number(process.env['MESSAGES'] ?? 3_000);
const SEED = Number(process.env['HUNT_SEED'] ?? 20_261_121);
const CUT_EVERY_MS = 250;
const LIMITS = { timeout: 60_000 + MESSAGES * 5 };
/** Published at a time. */
const BATCH = 100;

let server: Standalone;
let proxy: FaultProxy;
let publisher: Redis;
const listeners: Redis[] = [];

beforeAll(async () => {
  server = await startStandalone();
  proxy = await startFaultProxy({ to: { port: server.port } });
  publisher = createRedis({ url: server.url, timeout: '5s' }, {});
  await publisher.connect();
});

afterAll(async () => {
  await Promise.all(listeners.map((redis) => redis.disconnect()));
  await publisher.disconnect();
  await proxy.stop();
  await server.stop();
});

/** Its connections go through what cuts. */
async function listener(): Promise<PubSub> {
  const redis = createRedis({ url: `redis://127.0.0.1:${proxy.port}` }, {});
  listeners.push(redis);
  await redis.connect();
  return redis.pubsub;
}

type Cut = (proxy: FaultProxy) => void;

/** Ends connections, loses answers on the way, and holds everything for a while. */
const CUTS: readonly Cut[] = [
  (each) => each.rst(),
  (each) => each.swallowThenReset(),
  (each) => each.cut(40),
  (each) => each.blackhole('toClient'),
];

/** Publishes everything and cuts meanwhile; answers how often. */
async function publishUnderFire(channel: string, mode: 'stream' | 'group'): Promise<number> {
  const random = seededRandom(SEED);
  const published = new AbortController();
  let cuts = 0;
  const cutting = (async () => {
    while (!published.signal.aborted) {
      await sleep(CUT_EVERY_MS * (0.5 + random()));
      CUTS[Math.floor(random() * CUTS.length)]?.(proxy);
      await sleep(30);
      await proxy.pass();
      cuts += 1;
    }
  })();
  for (let i = 0; i < MESSAGES; i += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, k) => i + k);
    const options = { mode, maxLength: MESSAGES * 2 };
    await Promise.all(batch.map((number) => publisher.pubsub.publish(channel, number, options)));
    // So that several cuts fall into it.
    await sleep(30);
  }
  published.abort();
  await cutting;
  return cuts;
}

function missingFrom(seen: ReadonlyMap<number, number>): number {
  return Array.from({ length: MESSAGES }, (_, number) => number).filter((number) => !seen.has(number)).length;
}

describe('connections are cut while messages come', LIMITS, () => {
  it('mode stream: nothing is lost, nothing comes twice, the order holds', async () => {
    const pubsub = await listener();
    const stream = pubsub.subscribe('fire-stream', { mode: 'stream' });
    await stream.start();
    const seen: number[] = [];
    const listening = (async () => {
      for await (const { data } of stream) {
        seen.push(Number(data));
        if (seen.length >= MESSAGES) break;
      }
    })();
    const cuts = await publishUnderFire('fire-stream', 'stream');
    await until(() => seen.length >= MESSAGES, { what: 'all messages', timeout: 30_000 });
    await listening;
    console.log(`stream, seed ${SEED}: ${seen.length} of ${MESSAGES}, ${cuts} cuts`);
    expect(seen).toEqual(Array.from({ length: MESSAGES }, (_, number) => number));
    expect(cuts).toBeGreaterThan(3);
  });

  it('mode group: nothing is lost, and what comes twice is marked and rare', async () => {
    const options = { mode: 'group', group: 'fire', redeliverAfter: '600ms' } as const;
    const seen = new Map<number, number>();
    let deliveries = 0;
    let unmarked = 0;
    const controller = new AbortController();
    const members = await Promise.all([listener(), listener()]);
    const working = members.map(async (pubsub) => {
      for await (const message of pubsub.subscribe('fire-group', { ...options, signal: controller.signal })) {
        const number = Number(message.data);
        const before = seen.get(number) ?? 0;
        seen.set(number, before + 1);
        deliveries += 1;
        if (before > 0 && message.deliveries === 1) unmarked += 1;
      }
    });
    const cuts = await publishUnderFire('fire-group', 'group');
    await until(() => seen.size >= MESSAGES, { what: 'all messages', timeout: 30_000 });
    controller.abort();
    await Promise.all(working);
    const twice = deliveries - seen.size;
    console.log(
      `group, seed ${SEED}: ${seen.size} of ${MESSAGES}, ${cuts} cuts, ${twice} twice, ${unmarked} unmarked`,
    );
    expect(missingFrom(seen)).toBe(0);
    expect(unmarked).toBe(0);
    // A cut can bring back no more than what two members had in hand.
    expect(twice).toBeLessThanOrEqual(cuts * 2 * 16);
    expect(cuts).toBeGreaterThan(3);
  });

  it('mode pubsub: every gap is told, and what comes after it is heard', async () => {
    const pubsub = await listener();
    const gaps: Gap[] = [];
    const stream = pubsub.subscribe('fire-live', { onGap: (gap) => gaps.push(gap) });
    await stream.start();
    const rounds = 4;
    for (let round = 1; round <= rounds; round += 1) {
      await publisher.pubsub.publish('fire-live', `heard ${round}`);
      const { value } = await stream.next();
      expect(value?.data).toBe(`heard ${round}`);
      proxy.rst();
      await until(() => gaps.length === round, { what: `gap ${round}` });
    }
    expect(gaps).toEqual(Array.from({ length: rounds }, () => ({ channel: 'fire-live', missed: undefined })));
    expect(pubsub.stats().gaps).toBe(rounds);
    await stream.return();
  });
});

describe('a slow listener', LIMITS, () => {
  it('keeps memory bounded: what does not fit is dropped and counted', async () => {
    const pubsub = await listener();
    const bytes = 256 * 1024;
    const slow = pubsub.subscribe('flood', { bufferBytes: bytes, buffer: 100_000 });
    const quick = pubsub.subscribe('flood', { buffer: 100_000, bufferBytes: 100_000_000 });
    await Promise.all([slow.start(), quick.start()]);
    const payload = 'x'.repeat(4_000);
    const total = 5_000;
    let before = 0;
    for (let i = 0; i < total; i += BATCH) {
      // What the first messages make the engine load and grow is none of theirs.
      if (i === 1_000) before = await memoryInUse();
      const batch = Array.from({ length: BATCH }, (_, k) => `${i + k} ${payload}`);
      await Promise.all(batch.map((text) => publisher.pubsub.publish('flood', text)));
      for (let taken = 0; taken < BATCH; taken += 1) await quick.next();
    }
    const grown = (await memoryInUse()) - before;
    const kept: string[] = [];
    while (kept.length < total - slow.dropped) kept.push(String((await slow.next()).value?.data));
    console.log(
      `${total} messages of 4 kB: ${slow.dropped} dropped, memory grown by ${Math.round(grown / 1024)} kB`,
    );
    expect(quick.dropped).toBe(0);
    expect(kept.length * payload.length).toBeLessThan(bytes);
    expect(kept.at(-1)?.startsWith(`${total - 1} `)).toBe(true);
    // All of it would be 16 MB.
    expect(grown).toBeLessThan(8 * 1024 * 1024);
    await quick.return();
    await slow.return();
  });

  it('of a stream fetches no more than it can hold', async () => {
    const pubsub = await listener();
    for (let i = 0; i < 1_000; i += BATCH) {
      const batch = Array.from({ length: BATCH }, (_, k) => i + k);
      await Promise.all(batch.map((number) => publisher.pubsub.publish('kept', number, { mode: 'stream' })));
    }
    const stream = pubsub.subscribe('kept', { mode: 'stream', from: 'beginning' });
    proxy.resetStats();
    await stream.next();
    await sleep(200);
    expect(proxy.count('XREAD')).toBe(1);
    expect(stream.dropped).toBe(0);
    await stream.return();
  });
});

/** The least of a few looks: buffers that nobody holds any more are given back a little after the collection. */
async function memoryInUse(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let least = Infinity;
  for (let look = 0; look < 4; look += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  return least;
}
