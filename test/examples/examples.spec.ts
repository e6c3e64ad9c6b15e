/** Every example is started as it stands and asked what it is there to show. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { INestApplication, INestApplicationContext } from '@nestjs/common';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TASK_QUEUE, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { admin, shared, startShards, until } from '../topology/index.js';

const EXAMPLES = new URL('../../examples/', import.meta.url);

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

type Ask = (what: string, headers?: Record<string, string>, body?: unknown) => Promise<Answer>;

/** The module of an example, whose top level starts it. */
async function load(file: string): Promise<INestApplicationContext> {
  Logger.overrideLogger(false);
  const path = fileURLToPath(new URL(file, EXAMPLES));
  const { app } = (await import(/* @vite-ignore */ path)) as { app: INestApplicationContext };
  onTestFinished(() => app.close());
  return app;
}

/** Starts an example that listens; what it returns asks it, and keeps its cookie as a browser does. */
async function start(file: string): Promise<Ask> {
  const app = (await load(file)) as INestApplication;
  const base = (await app.getUrl()).replace('[::1]', 'localhost');
  let cookie: string | undefined;
  return async (what, headers = {}, body) => {
    const [method = 'GET', path = '/'] = what.split(' ');
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(cookie !== undefined && { cookie }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
    return { status: response.status, body: parsed(await response.text()), headers: response.headers };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function read(file: string): string {
  return readFileSync(new URL(file, EXAMPLES), 'utf8');
}

// The first example loads the whole library.
vi.setConfig({ testTimeout: 60_000 });

beforeEach(() => {
  vi.stubEnv('PORT', '0');
  vi.stubEnv('REDIS_URL', undefined);
});
afterEach(() => vi.unstubAllEnvs());

describe('on the embedded default', () => {
  it('minimal: the second answer is that of the first', async () => {
    const ask = await start('minimal/main.ts');
    const body = { titles: ['Anna Karenina'], loads: 1 };
    expect(await ask('GET /books')).toMatchObject({ status: 200, body });
    expect(await ask('GET /books')).toMatchObject({ status: 200, body });
  });

  it('fastify: a hit, and 304 for who has the answer', async () => {
    const ask = await start('fastify/main.ts');
    expect((await ask('GET /status')).body).toEqual({ runs: 1 });
    const hit = await ask('GET /status');
    expect(hit.body).toEqual({ runs: 1 });
    expect(hit.headers.get('cache-status')).toMatch(/^"anbar"; hit/u);
    const unchanged = await ask('GET /status', { 'if-none-match': hit.headers.get('etag') ?? '' });
    expect(unchanged).toMatchObject({ status: 304, body: '' });
  });

  it('graphql: a field whose answer is cached', async () => {
    const ask = await start('graphql/main.ts');
    const query = '{ titles }';
    for (let i = 0; i < 2; i += 1) {
      const { body } = await ask('POST /graphql', {}, { query });
      expect(body).toEqual({ data: { titles: ['Anna Karenina', 'War and Peace'] } });
    }
  });

  it('limits: two orders of one key a minute, and the third is told when to come back', async () => {
    const ask = await start('limits/main.ts');
    const order = () => ask('POST /orders', { 'x-api-key': 'ada' });
    expect([(await order()).status, (await order()).status]).toEqual([201, 201]);
    const third = await order();
    expect(third).toMatchObject({ status: 429, body: { 'violated-policies': ['orders'] } });
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('POST /orders', { 'x-api-key': 'bob' })).status).toBe(201);
  });

  it('sessions: logged in on one request, known on the next, and logged out elsewhere', async () => {
    const ask = await start('sessions/main.ts');
    expect((await ask('GET /me')).body).toEqual({ user: null, devices: 0 });
    expect((await ask('POST /login/ada')).status).toBe(201);
    expect((await ask('GET /me')).body).toEqual({ user: 'ada', devices: 1 });
    expect((await ask('POST /logout-elsewhere')).body).toEqual({ ended: 0 });
  });

  it('queues: what was ordered is there a little later', async () => {
    const ask = await start('queues/main.ts');
    expect((await ask('POST /books/7/pdf')).body).toEqual({ task: 'pdf-7' });
    const done = await until(
      async () => {
        const { body } = await ask('GET /books/7/pdf');
        return Reflect.get(Object(body), 'state') === 'completed' ? body : undefined;
      },
      { what: 'the task to be done' },
    );
    expect(done).toEqual({ state: 'completed', result: { pages: 12 } });
  });

  it('worker: does the task that waits for it', async () => {
    const app = await load('worker/main.ts');
    const tasks = app.get<TaskQueue>(TASK_QUEUE);
    const mail = await until(
      async () => {
        const found = await tasks.find('first');
        return found?.state === 'completed' ? found : undefined;
      },
      { what: 'the mail to be sent' },
    );
    expect(mail.result).toEqual({ sent: { to: 'ada' } });
  });
});

it('shards: on two servers, each of which has its part', async () => {
  const running = await startShards(2);
  onTestFinished(() => running.stop());
  const { shards, urls } = running;
  vi.stubEnv('SHARD_A_URL', urls[0]);
  vi.stubEnv('SHARD_B_URL', urls[1]);
  const ask = await start('shards/main.ts');
  const homes = new Map<unknown, number>();
  for (let i = 0; i < 20; i += 1) {
    const { body } = await until(
      async () => {
        const answer = await ask(`PUT /values/${i}`);
        return answer.status === 200 ? answer : undefined;
      },
      { what: 'the shards to agree' },
    );
    const shard: unknown = Reflect.get(Object(body), 'shard');
    homes.set(shard, (homes.get(shard) ?? 0) + 1);
    expect((await ask(`GET /values/${i}`)).body).toEqual({ value: `the value of ${i}` });
  }
  expect(new Set(homes.keys())).toEqual(new Set(['a', 'b']));
  for (const { port } of shards) expect(await admin(port, 'DBSIZE')).not.toBe('0');
});

interface Request {
  readonly ask: string;
  readonly with?: Record<string, string>;
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** Lines that are new, of a text that was changed here and there. */
function changed(before: string, after: string): string[] {
  const known = new Set(before.split('\n'));
  return after.split('\n').filter((line) => !known.has(line));
}

describe('migrations', () => {
  it.each([
    [
      'migrate-cache-manager',
      [
        "} from '@anbar/nestjs-redis/compat';",
        "import { RedisModule } from '@anbar/nestjs-redis';",
        '  imports: [RedisModule.forRoot(), CacheModule.register({ ttl: 60_000 })],',
      ],
    ],
    [
      'migrate-throttler',
      [
        "import { seconds, SkipThrottle, Throttle, ThrottlerGuard, ThrottlerModule } from '@anbar/nestjs-redis/compat';",
        "import { RedisModule } from '@anbar/nestjs-redis';",
        '    RedisModule.forRoot(),',
      ],
    ],
    [
      'migrate-connect-redis',
      [
        "import { connectRedis } from '@anbar/nestjs-redis/compat';",
        "import { RedisAdapter, RedisModule } from '@anbar/nestjs-redis';",
        'const RedisStore = connectRedis(session);',
        '@Module({ imports: [RedisModule.forRoot()], controllers: [VisitsController] })',
        'const client = app.get(RedisAdapter);',
      ],
    ],
    [
      'migrate-nestjs-redis',
      [
        "import { InjectRedis, NativeRedisModule, RedisService } from '@anbar/nestjs-redis/compat';",
        "import { RedisModule } from '@anbar/nestjs-redis';",
        '  imports: [',
        '    RedisModule.forRoot({ url, connections: { reports: { url } } }),',
        "    NativeRedisModule.register('default', 'reports'),",
        '  ],',
      ],
    ],
  ])('%s: nothing else is changed, and it answers as before', async (name, lines) => {
    expect(changed(read(`${name}/before.txt`), read(`${name}/after.ts`))).toEqual(lines);
    if (name === 'migrate-nestjs-redis') {
      const { url, port } = await shared('standalone');
      await admin(port, 'DEL', 'example:scores', 'example:last', 'example:report');
      vi.stubEnv('REDIS_URL', url);
    }
    const ask = await start(`${name}/after.ts`);
    const requests = JSON.parse(read(`${name}/requests.json`)) as readonly Request[];
    for (const { ask: what, with: sent, status, body, headers = {} } of requests) {
      const answer = await ask(what, sent);
      const seen = Object.fromEntries(
        Object.keys(headers).map((header) => [header, answer.headers.get(header)]),
      );
      expect({ what, status: answer.status, body: answer.body, headers: seen }).toEqual({
        what,
        status,
        body,
        headers,
      });
    }
  });
});

it('all of them are in the list, and the list is of these', () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const listed = [...read('README.md').matchAll(/^\| \[([\w-]+)\]/gmu)].map(([, name]) => name);
  expect(new Set(listed)).toEqual(new Set(folders));
});
