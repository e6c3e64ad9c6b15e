/** A channel that the user may not hear is refused for its listener and for nobody else. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { startStandalone, until, type Standalone } from '../topology/index.js';

let server: Standalone;

beforeAll(async () => {
  server = await startStandalone({ acl: { user: 'app', password: 'pw', rules: '~app:* &app:* +@all' } });
});
afterAll(() => server.stop());

it('refuses the forbidden channel and serves the allowed one, also after the connection was lost', async () => {
  const redis = createRedis({ url: server.url, connectTimeout: '2s' }, {});
  const heard: unknown[] = [];
  try {
    await expect(redis.adapter.subscribe('other', () => undefined).ready).rejects.toThrow(/NOPERM/u);
    await redis.adapter.subscribe('app:news', (message) => heard.push(message)).ready;
    await redis.adapter.publish('app:news', 'first');
    await until(() => heard.includes('first'), { what: 'the first message' });

    await server.process.admin('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(
      async () => {
        await redis.adapter.publish('app:news', 'second').catch(() => undefined);
        return heard.includes('second');
      },
      { what: 'a message after the cut' },
    );
  } finally {
    await redis.disconnect();
  }
});
