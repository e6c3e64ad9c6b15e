/** Walking over the keys, wherever they live. */
import assert from 'node:assert/strict';
import { escapeGlob, type RedisClient } from '../../../src/connection/index.js';
import type { ContractCase } from '../contract.js';
import { collect, reason } from '../expectations.js';

async function fill(client: RedisClient, keys: readonly string[]): Promise<void> {
  const results = await client.pipeline(
    keys.map((name) => ({ name: 'SET', args: [name, 'v'] })),
    { timeout: '5s' },
  );
  assert.ok(results.every(({ ok }) => ok));
}

export const scanning: readonly ContractCase<RedisClient>[] = [
  {
    name: 'a scan finds each of 300 keys, on all nodes, also in small pages',
    async run(client, { key }) {
      const keys = Array.from({ length: 300 }, (_, i) => key(`${i}`));
      await fill(client, keys);
      const match = `${escapeGlob(key(''))}*`;
      for (const count of [undefined, 50]) {
        const found = new Set(
          await collect(client.scan({ match, ...(count === undefined ? {} : { count }) })),
        );
        assert.deepEqual([...found].toSorted(), keys.toSorted());
      }
    },
  },
  {
    name: 'match is a glob, and data in it is data once it is escaped',
    async run(client, { key }) {
      await fill(client, ['a*', 'ab', 'a[b]', 'a?', 'b'].map(key));
      const found = async (pattern: string) =>
        (await collect(client.scan({ match: `${escapeGlob(key(''))}${pattern}` }))).toSorted();
      assert.deepEqual(await found('a?'), ['a*', 'ab', 'a?'].map(key).toSorted());
      assert.deepEqual(await found(escapeGlob('a*')), [key('a*')]);
      assert.deepEqual(await found(escapeGlob('a[b]')), [key('a[b]')]);
      assert.deepEqual(await found('[^a]'), [key('b')]);
    },
  },
  {
    name: 'type leaves out the rest',
    async run(client, { key }) {
      await fill(client, [key('string')]);
      await client.command('RPUSH', [key('list'), 'a']);
      await client.command('HSET', [key('hash'), 'a', '1']);
      await client.command('SADD', [key('set'), 'a']);
      await client.command('ZADD', [key('zset'), 1, 'a']);
      for (const type of ['string', 'list', 'hash', 'set', 'zset']) {
        const found = await collect(client.scan({ match: `${escapeGlob(key(''))}*`, type }));
        assert.deepEqual(found, [key(type)]);
      }
    },
  },
  {
    name: 'where nothing matches there is no batch, not an empty one',
    async run(client, { key }) {
      const batches: (readonly string[])[] = [];
      for await (const batch of client.scan({ match: escapeGlob(key('none')) })) batches.push(batch);
      assert.deepEqual(batches, []);
    },
  },
  {
    name: 'a scan may be left early and begun anew',
    async run(client, { key }) {
      const keys = Array.from({ length: 50 }, (_, i) => key(`${i}`));
      await fill(client, keys);
      const scan = () => client.scan({ match: `${escapeGlob(key(''))}*`, count: 5 });
      for await (const batch of scan()) {
        assert.ok(batch.length > 0);
        break;
      }
      assert.equal(new Set(await collect(scan())).size, 50);
    },
  },
  {
    name: 'an aborted scan ends with the reason of the signal',
    async run(client, { key }) {
      await fill(client, [key('a')]);
      const stop = new Error('enough');
      const early = client.scan({ signal: AbortSignal.abort(stop) });
      assert.equal(await reason(collect(early)), stop);
      const controller = new AbortController();
      const seen: string[] = [];
      const walk = async () => {
        for await (const batch of client.scan({ signal: controller.signal, count: 1 })) {
          seen.push(...batch);
          controller.abort(stop);
        }
      };
      // Where one page holds everything, there is no further step that could notice.
      await walk().catch((error: unknown) => assert.equal(error, stop));
      assert.ok(seen.length > 0);
    },
  },
];
