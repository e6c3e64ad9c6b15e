/** Sessions on embedded and on every real topology, and their scripts against their twins. */
import { randomBytes } from 'node:crypto';
import { afterAll } from 'vitest';
import { createCodec } from '@anbar/nestjs-redis/codec';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import type { Reply } from '@anbar/nestjs-redis/connection';
import {
  destroyScript,
  joinScript,
  loadScript,
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
import { sideBySide } from './side-by-side.js';

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

sideBySide((runner) => {
  for (const place of places) {
    const encrypted = place.name === 'tls+acl';
    const target = {
      name: encrypted ? `${place.name}, encrypted` : place.name,
      prefix: place.prefix,
      create: () => openAt(place, encrypted),
      dispose: async (subject: SessionSubject) => (subject as Opened).redis.disconnect(),
      onResult: table.add,
    };
    runContract(sessionServiceContract, target, runner);
  }
});

const HANDLES = ['a', 'b', 'c', 'd'] as const;
type Key = (name: string) => string;

/** Listed sessions with ends far off, some of them there; and ids that lead on, have ended or hold something else. */
function listed(random: Random, index: string, session: string) {
  return [
    { name: 'DEL', args: [session] },
    { name: 'ZADD', args: [index, 1e13 + random.integer(0, 9), random.oneOf(HANDLES)] },
    { name: 'PEXPIREAT', args: [index, 2e12] },
    ...random.oneOf([
      [],
      [{ name: 'HSET', args: [session, 'v', 1, 'x', 1, 't', 1, 'i', 500_000, 'a', 0] }],
      [{ name: 'HSET', args: [session, 'v', 1, 'x', 0, 't', 1e13, 'i', 500_000, 'a', 2e12] }],
      [{ name: 'HSET', args: [session, 'v', 1, 'x', 0, 't', 'x', 'i', 500_000, 'a', 2e12] }],
      [{ name: 'HSET', args: [session, 'r', 'a'] }],
      [{ name: 'HSET', args: [session, 'r', 'a', 'i', 400_000] }],
      [{ name: 'HSET', args: [session, 'r', ''] }],
      [{ name: 'HSET', args: [session, 'r', '', 'n', 'b'] }],
      [{ name: 'SET', args: [session, 'x'] }],
    ]),
    { name: 'PEXPIRE', args: [session, 500_000] },
  ];
}

const destroy = scriptContract(destroyScript, (random, key: Key) => {
  const keys = [key(`session:{1}:${random.integer(1, 3)}`), key('user:{1}')] as const;
  const member = random.oneOf(HANDLES);
  const args = { member, graceMs: random.oneOf([0, 300_000]), by: random.oneOf(['', '', 'b']) };
  return { keys, args, before: listed(random, keys[1], keys[0]) };
});

const join = scriptContract(joinScript, (random, key: Key) => {
  const [next, index, session] = [key('session:{1}:next'), key('user:{1}'), key('session:{1}:1')];
  const isHash = random.integer(0, 1) === 0 ? [] : [{ name: 'HSET', args: [next, 'v', 1] }];
  const before = [
    ...listed(random, index, session).filter(({ name }) => name !== 'SET'),
    { name: 'DEL', args: [next] },
    ...isHash,
  ];
  return { keys: [next, index, session] as const, args: { from: 'b', to: 'a' }, before };
});

/** How much time is left differs by the time between two looks. */
const fieldsOf = { ...loadScript, decode: (reply: Reply) => loadScript.decode(reply)?.fields };

const load = scriptContract(fieldsOf, (random, key: Key) => {
  const keys = [key(`session:{1}:${random.integer(1, 3)}`), key('user:{1}')] as const;
  // Times of the two places differ, so none is written.
  const args = { member: random.oneOf(HANDLES), touchAfter: 1e15 };
  return { keys, args, before: listed(random, keys[1], keys[0]) };
});

const revokeAll = scriptContract(revokeAllScript, (random, key: Key) => {
  const index = key('user:{1}');
  const args = { except: random.oneOf(['', ...HANDLES]) };
  return { keys: [index] as const, args, before: listed(random, index, key('session:{1}:1')) };
});

runEverywhere([destroy, join, load, revokeAll], ({ adapter }) => adapter.port);
