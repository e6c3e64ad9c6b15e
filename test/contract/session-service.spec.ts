/** Sessions on embedded and on every real topology, and their scripts against their twins. */
import { randomBytes } from 'node:crypto';
import { afterAll, describe, it } from 'vitest';
import { createCodec } from '@anbar/nestjs-redis/codec';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import {
  destroyScript,
  resolveSession,
  revokeAllScript,
  SessionService,
  type SessionOptions,
} from '@anbar/nestjs-redis/session';
import {
  runContract,
  scriptContract,
  sessionServiceContract,
  type Account,
  type Random,
  type SessionSubject,
} from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';
import { runEverywhere } from './run-everywhere.js';

const NAMESPACE = 'app';
const KEYS = [{ id: 'k1', secret: randomBytes(32) }];

interface Opened extends SessionSubject {
  readonly redis: Redis;
}

async function openAt(place: Place, encrypted: boolean): Promise<Opened> {
  const redis =
    place.name === 'embedded' ? createRedis({ topology: 'embedded' }, {}) : await openRedis(place);
  const client = redis.adapter.port;
  const codec = createCodec(encrypted ? { encryption: { keys: KEYS, required: true } } : {});
  const open = (options?: SessionOptions) =>
    new SessionService<Account>({ client, namespace: NAMESPACE, codec, settings: resolveSession(options) });
  return { redis, client, namespace: NAMESPACE, open };
}

const places = openPlaces();
const table = new ContractTable();

afterAll(async () => {
  table.print();
  await Promise.all(places.map((place) => place.stop()));
});

for (const place of places) {
  const encrypted = place.name === 'tls+acl';
  const target = {
    name: encrypted ? `${place.name}, encrypted` : place.name,
    prefix: place.prefix,
    create: () => openAt(place, encrypted),
    dispose: async (subject: SessionSubject) => (subject as Opened).redis.disconnect(),
    onResult: table.add,
  };
  runContract(sessionServiceContract, target, { describe, it, after: afterAll });
}

const HANDLES = ['a', 'b', 'c', 'd'] as const;
type Key = (name: string) => string;

/** Listed sessions with ends far off, some of them there. */
function listed(random: Random, index: string, session: string) {
  return [
    { name: 'ZADD', args: [index, 1e13 + random.integer(0, 9), random.oneOf(HANDLES)] },
    { name: 'PEXPIREAT', args: [index, 2e12] },
    ...(random.integer(0, 1) === 0 ? [] : [{ name: 'HSET', args: [session, 'v', 1] }]),
    ...(random.integer(0, 2) === 0 ? [{ name: 'HSET', args: [session, 'r', 'next'] }] : []),
    { name: 'PEXPIRE', args: [session, 500_000] },
  ];
}

const destroy = scriptContract(destroyScript, (random, key: Key) => {
  const keys = [key(`session:{1}:${random.integer(1, 3)}`), key('user:{1}')] as const;
  const args = { member: random.oneOf(HANDLES) };
  return { keys, args, before: listed(random, keys[1], keys[0]) };
});

const revokeAll = scriptContract(revokeAllScript, (random, key: Key) => {
  const index = key('user:{1}');
  const args = { except: random.oneOf(['', ...HANDLES]) };
  return { keys: [index] as const, args, before: listed(random, index, key('session:{1}:1')) };
});

runEverywhere([destroy, revokeAll], ({ adapter }) => adapter.port);
