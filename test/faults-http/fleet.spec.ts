/** Two processes that serve, and a thousand requests for a route that nobody has asked for yet. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shared, until } from '../topology/index.js';
import type { HandlerPlan, Platform } from './orders.js';
import { startServers, type Answer, type Server } from './servers.js';

const PROCESSES = 2;
const REQUESTS = 1_000;
/** So long a process may be too busy with a thousand connections to renew it. */
const LEASE_MS = 5_000;

describe.each<Platform>(['express', 'fastify'])(`on %s, ${PROCESSES} processes`, (platform) => {
  let servers: readonly Server[] = [];

  beforeAll(async () => {
    const { url } = await shared('standalone');
    const cache = { lease: `${LEASE_MS}ms` } as const;
    // Where a thousand requests share two processors with their servers, a short deadline is about the processors.
    const options = {
      url,
      namespace: `fleet-${randomBytes(6).toString('hex')}`,
      timeout: '10s',
      cache,
    } as const;
    servers = await startServers(PROCESSES, { platform, options });
    // Connections and compiled code, so that what follows is about the requests.
    const rehearsal = (server: Server): Promise<unknown>[] =>
      Array.from({ length: REQUESTS / PROCESSES }, () => server.ask('/cached/rehearsal'));
    await Promise.all(servers.flatMap(rehearsal));
  }, 180_000);

  afterAll(() => Promise.all(servers.map((server) => server.kill())));

  interface Storm {
    readonly answers: Promise<readonly Answer[]>;
    readonly id: string;
  }

  /** Settles when all requests wait for one handler, which ends when it is told to. */
  async function storm(ends: HandlerPlan['ends']): Promise<Storm> {
    await Promise.all(servers.map((server) => server.handler({ ends, after: 'the word' })));
    const id = randomBytes(6).toString('hex');
    const asked = servers.flatMap((server) =>
      Array.from({ length: REQUESTS / PROCESSES }, () => server.ask(`/cached/${id}`)),
    );
    // In each process one of them has opened the load that all others joined.
    const everybody = async (): Promise<boolean> => (await sum('joined')) === REQUESTS - PROCESSES;
    await until(everybody, { what: 'all requests to wait', timeout: 60_000, every: 50 });
    return { answers: Promise.all(asked), id };
  }

  async function sum(count: 'runs' | 'joined'): Promise<number> {
    const counts = await Promise.all(servers.map((server) => server.counts()));
    return counts.reduce((total, each) => total + each[count], 0);
  }

  const end = (): void => {
    for (const server of servers) server.release();
  };

  it(`${REQUESTS} requests for a cold route run the handler once in the fleet`, async () => {
    const { answers, id } = await storm('answers');
    end();
    const all = await answers;
    expect(all).toHaveLength(REQUESTS);
    expect(new Set(all.map(({ status, text }) => `${status} ${text}`))).toEqual(
      new Set([`200 {"id":"${id}","made":"by a handler"}`]),
    );
    expect(await sum('runs')).toBe(1);
  }, 120_000);

  it('a handler that fails fails once, and all are told what it said', async () => {
    const { answers } = await storm('fails');
    end();
    const all = await answers;
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([503]));
    for (const { text } of all) expect(JSON.parse(text)).toMatchObject({ message: 'the shop is closed' });
    expect(await sum('runs')).toBe(1);
  }, 120_000);

  it('the process whose handler runs is killed: one other handler runs when its lease has ended', async () => {
    const { answers } = await storm('answers');
    const owner = servers.find((server) => server.hasSaid('running'));
    const others = servers.filter((server) => server !== owner);
    for (const server of others) await server.handler({ ends: 'answers', after: 0 });
    await owner?.kill();
    const killedAt = performance.now();
    const all = await answers;
    const tookMs = performance.now() - killedAt;
    const answered = all.filter(({ status }) => status === 200);
    // Those who had asked the dead process have lost their connection, and nobody else has.
    expect(answered).toHaveLength(REQUESTS / PROCESSES);
    expect(all.filter(({ status }) => status === 0)).toHaveLength(REQUESTS / PROCESSES);
    expect(new Set(answered.map(({ text }) => text)).size).toBe(1);
    expect((await others[0]?.counts())?.runs).toBe(1);
    expect(tookMs).toBeLessThan(LEASE_MS + 5_000);
  }, 120_000);
});
