/** Opening, closing, giving up early, and what the client tells of itself. */
import assert from 'node:assert/strict';
import { defineScript, type RedisClient } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { collect, reason, rejection } from '../expectations.js';

const pingScript = defineScript({
  name: 'contract.ping',
  lua: `return 1`,
  args: () => [],
  decode: (reply) => Number(reply),
  twin: () => 1,
});

const STATES = ['idle', 'connecting', 'loading', 'ready', 'reconnecting', 'closed'];
const BREAKERS = ['closed', 'open', 'half-open', 'isolated', 'off'];

export const life: readonly ContractCase<RedisClient>[] = [
  {
    name: 'a signal that is aborted already rejects with its reason, and nothing is sent',
    async run(client, { key }) {
      const stop = new Error('not needed any more');
      const call = client.command('SET', [key('k'), 'v'], { signal: AbortSignal.abort(stop) });
      assert.equal(await reason(call), stop);
      assert.equal(await client.command('EXISTS', [key('k')]), 0);
    },
  },
  {
    name: 'a signal that is aborted on the way ends the wait with its reason, and only that call',
    async run(client, { key }) {
      await client.command('SET', [key('k'), 'v']);
      const stop = new Error('not needed any more');
      const controller = new AbortController();
      const aborted = client
        .command('GET', [key('k')], { signal: controller.signal })
        .catch((e: unknown) => e);
      const other = client.command('GET', [key('k')]);
      controller.abort(stop);
      assert.equal(await other, 'v');
      // Embedded, the answer is there before anybody could have aborted.
      assert.equal(await aborted, client.topology === 'embedded' ? 'v' : stop);
      assert.equal(await client.command('GET', [key('k')]), 'v');
    },
  },
  {
    name: 'a signal may serve many calls and be aborted after them',
    async run(client, { key }) {
      const controller = new AbortController();
      const options = { signal: controller.signal };
      const calls = Array.from({ length: 20 }, () => client.command('INCR', [key('n')], options));
      assert.equal((await Promise.all(calls)).at(-1), 20);
      controller.abort();
      assert.equal(await client.command('GET', [key('n')]), '20');
    },
  },
  {
    name: 'connecting twice is connecting once, and calls need no connect at all',
    async run(_client, { key, another }) {
      const client = await another();
      assert.equal(await client.command('SET', [key('k'), 'v'], { timeout: '5s' }), 'OK');
      await Promise.all([client.connect(), client.connect()]);
      await client.connect({ timeout: '5s' });
      assert.equal(await client.command('GET', [key('k')]), 'v');
    },
  },
  {
    name: 'the answers that are due come before the client is closed',
    async run(_client, { key, another }) {
      const client = await another();
      await client.connect();
      const calls = Array.from({ length: 50 }, (_, i) => client.command('SET', [key(`${i}`), i]));
      const closing = client.disconnect();
      assert.ok((await Promise.all(calls)).every((reply) => reply === 'OK'));
      await closing;
    },
  },
  {
    name: 'closing twice is closing once; every call afterwards is told so, and none hangs',
    async run(_client, { key, another }) {
      const client = await another();
      await client.connect();
      await Promise.all([client.disconnect(), client.disconnect()]);
      await client.disconnect();
      const get = { name: 'GET', args: [key('k')] };
      await rejection(() => client.command('GET', [key('k')]), 'CONNECTION_CLOSED');
      await rejection(() => client.run(pingScript, [], undefined), 'CONNECTION_CLOSED');
      await rejection(() => collect(client.scan()), 'CONNECTION_CLOSED');
      await rejection(() => client.connect(), 'CONNECTION_CLOSED');
      const subscription = client.subscribe({ channels: [key('c')], onMessage: () => undefined });
      await rejection(subscription.ready, 'CONNECTION_CLOSED');
      await subscription.close();
      const [outcome] = await client.pipeline([get]);
      assert.equal(outcome?.ok === false && Reflect.get(outcome.error, 'code'), 'CONNECTION_CLOSED');
    },
  },
  {
    name: 'a client that was never opened may be closed',
    async run(_client, { key, another }) {
      const client = await another();
      await client.disconnect();
      await rejection(() => client.command('GET', [key('k')]), 'CONNECTION_CLOSED');
    },
  },
  {
    name: 'closing ends what listens',
    async run(client, { key, another }) {
      const listening = await another();
      const seen: string[] = [];
      const subscription = listening.subscribe({
        channels: [key('c')],
        onMessage: ({ payload }) => void seen.push(payload.toString()),
      });
      await subscription.ready;
      await listening.disconnect();
      await subscription.close();
      await client.command('PUBLISH', [key('c'), 'late']);
      assert.deepEqual(seen, []);
    },
  },
  {
    name: 'an isolated client refuses at once and says so, and serves again when restored',
    async run(client, { key }) {
      await client.command('SET', [key('k'), 'v']);
      client.isolate();
      await rejection(client.command('GET', [key('k')]), 'CIRCUIT_OPEN');
      const { health, nodes } = client.status();
      client.restore();
      assert.equal(health, 'down');
      assert.ok(nodes.every((node) => node.breaker.reads === 'isolated'));
      assert.equal(await client.command('GET', [key('k')]), 'v');
    },
  },
  {
    name: 'status tells of every node, in words and numbers that are known',
    async run(client, { key }) {
      await client.command('GET', [key('k')]);
      const status = client.status();
      assert.equal(status.name, client.name);
      assert.equal(status.topology, client.topology);
      assert.equal(status.health, 'up', JSON.stringify(status));
      assert.ok(status.nodes.length > 0);
      for (const node of status.nodes) {
        assert.ok(node.node.length > 0 && STATES.includes(node.state), node.state);
        assert.ok(BREAKERS.includes(node.breaker.reads) && BREAKERS.includes(node.breaker.writes));
        assert.ok(['primary', 'replica', 'unknown'].includes(node.role));
        assert.ok(node.latencyMs === null || node.latencyMs >= 0);
        assert.ok(Number.isInteger(node.inFlight) && node.inFlight >= 0);
        assert.ok(Math.abs(Date.now() - node.since) < 3_600_000 && node.since <= Date.now());
      }
      assert.doesNotThrow(() => JSON.stringify(status));
    },
  },
  {
    name: 'after closing, status says down',
    async run(_client, { another }) {
      const client = await another();
      await client.connect();
      await client.disconnect();
      const status = client.status();
      assert.equal(status.health, 'down');
      assert.ok(
        status.nodes.every(({ state }) => state === 'closed'),
        JSON.stringify(status),
      );
    },
  },
  {
    name: 'who listens to events hears that a node is ready, until he stops listening',
    async run(_client, { another }) {
      const client = await another();
      const ready: string[] = [];
      const stopped: string[] = [];
      client.on('ready', ({ node }) => void ready.push(node));
      client.on('ready', ({ node }) => void stopped.push(node))();
      await client.connect();
      assert.ok(ready.length > 0);
      assert.deepEqual(stopped, []);
    },
  },
];
