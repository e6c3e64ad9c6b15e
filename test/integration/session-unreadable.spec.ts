/**
 * Sessions that can not be read any more, and what can not be stored: nobody is kept out for ever, and nothing of them is
 * taken for a session.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { onTelemetry, type TelemetryEvent } from '../../libs/redis/src/core/index.js';
import { PLACES, PLATFORMS } from './http-boot.js';
import { until } from '../topology/index.js';
import { EVERYWHERE, openShop, Shop, type Stage } from './session-stage.js';

type Command = readonly [name: string, ...args: (string | number)[]];

/** What may have become of a session: by another version, by hand, by a disk. */
const DAMAGES: readonly (readonly [string, (key: string) => readonly Command[]])[] = [
  ['a field that is not what was sealed', (key) => [['HSET', key, 'd:cart', 'nothing that was sealed']]],
  ['no word of whose it is', (key) => [['HDEL', key, 'm']]],
  ['no times', (key) => [['HDEL', key, 't', 'i']]],
  ['times that are none', (key) => [['HSET', key, 'a', 'soon']]],
  ['no version', (key) => [['HDEL', key, 'v']]],
  [
    'something else in its place',
    (key) => [
      ['DEL', key],
      ['SET', key, 'x', 'PX', 60_000],
    ],
  ],
  ['more fields than a session may have', (key) => [['HSET', key, ...fields(1_001)]]],
  ['more fields than a script may return', (key) => [['HSET', key, ...fields(9_000)]]],
];

function fields(count: number): string[] {
  return Array.from({ length: count }, (_, i) => [`d:${i}`, 'x']).flat();
}

async function keyOf({ adapter, sessions }: Stage, user: string): Promise<string> {
  const handle = (await sessions.listByUser(user))[0]?.handle ?? 'nobody';
  const [name] = await namesOf(adapter, `*:v1:session:*:${handle}`);
  if (name === undefined) throw new Error('no session is stored');
  return name;
}

async function namesOf({ port }: Stage['adapter'], match: string): Promise<string[]> {
  const found: string[] = [];
  for await (const names of port.scan({ match })) found.push(...names);
  return found;
}

function heard(): TelemetryEvent[] {
  const events: TelemetryEvent[] = [];
  onTestFinished(
    onTelemetry('session', (event) => {
      if (event.outcome === 'invalid_session_data') events.push(event);
    }),
  );
  return events;
}

describe.each(EVERYWHERE)('on %s, %s', (platform, place) => {
  it.each(DAMAGES)('with %s it is none, and an event tells of it', async (_, damage) => {
    const stage = await openShop(platform, place);
    const { cookie: before } = await stage.ask(undefined, 'POST', 'login/ada');
    const key = await keyOf(stage, 'ada');
    for (const [name, ...args] of damage(key)) await stage.adapter.port.command(name, args);
    const events = heard();
    expect(await stage.ask(before, 'GET', 'look')).toMatchObject({
      status: 200,
      body: { user: null, cart: [] },
      cookie: undefined,
    });
    expect(events).toMatchObject([
      { name: 'session.load', attributes: { reason: expect.any(String) as unknown } },
    ]);
    expect(stage.sessions.stats()['load']).toMatchObject({ refused: 1 });
    // Whoever has something to keep gets a session in its place, and so does who logs in.
    const next = await stage.ask(before, 'POST', 'put/pear');
    expect((await stage.ask(next.cookie, 'GET', 'look')).body).toEqual({ user: null, cart: ['pear'] });
    const login = await stage.ask(before, 'POST', 'login/ada');
    expect((await stage.ask(login.cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
    // The login has ended it, for whoever might be able to read it too.
    expect(await stage.adapter.port.command('HGET', [key, 'v'])).toBeNull();
  });

  it('a logout ends it', async () => {
    const stage = await openShop(platform, place);
    const { cookie } = await stage.ask(undefined, 'POST', 'login/ada');
    const key = await keyOf(stage, 'ada');
    await stage.adapter.port.command('HSET', [key, 'd:cart', 'nothing that was sealed']);
    expect((await stage.ask(cookie, 'POST', 'logout')).cookie).toBe('');
    expect(await stage.adapter.port.command('HGET', [key, 'v'])).toBeNull();
  });

  it('what can not be stored is the fault of the handler: 500, at once', async () => {
    const stage = await openShop(platform, place);
    const { cookie } = await stage.ask(undefined, 'POST', 'login/ada');
    for (const who of [undefined, cookie]) {
      expect(await stage.ask(who, 'POST', 'fill')).toMatchObject({
        status: 500,
        body: { code: 'INVALID_SESSION_DATA' },
        cookie: undefined,
      });
    }
    expect((await stage.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
  });
});

it.each(PLATFORMS)(
  'what is said in place of a file has nothing of the file, which is closed (%s)',
  async (platform) => {
    const stage = await openShop(platform, 'embedded');
    const answer = await stage.ask(undefined, 'GET', 'file');
    expect(answer).toMatchObject({ status: 500, body: { code: 'INVALID_SESSION_DATA' }, etag: null });
    await until(() => Shop.opened?.destroyed, { what: 'the file to be closed' });
  },
);

it.each(PLACES)(
  'who has more sessions than a script can name at once may still log in (%s)',
  async (place) => {
    const { adapter, sessions } = await openShop('express', place, { session: { maxPerUser: 1 } });
    const { state } = await sessions.create({ user: 'ada' });
    const [index] = await namesOf(adapter, `*:v1:session-user:{${state.tag}}`);
    const others = Array.from({ length: 9_000 }, (_, i) => [Date.now() + 60_000, `other-${i}`]).flat();
    await adapter.port.command('ZADD', [index ?? '', ...others]);
    const { handle } = await sessions.create({ user: 'ada' });
    expect((await sessions.listByUser('ada')).map((each) => each.handle)).toEqual([handle]);
  },
);

it.each(PLATFORMS)(
  'without the key it is none here, and still one where the key is known (%s)',
  async (platform) => {
    const namespace = `unreadable-${platform}-${process.pid}`;
    const withKey = (id: string): Promise<Stage> => {
      const encryption = { keys: [{ id, secret: randomBytes(32) }] };
      return openShop(platform, 'redis', { namespace, codec: { encryption } });
    };
    const [ours, theirs] = [await withKey('ours'), await withKey('theirs')];
    const { cookie } = await ours.ask(undefined, 'POST', 'login/ada');
    const events = heard();
    expect((await theirs.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: null });
    expect(events).toMatchObject([{ attributes: { reason: 'unknown-key' } }]);
    const next = await theirs.ask(cookie, 'POST', 'put/pear');
    expect((await theirs.ask(next.cookie, 'GET', 'look')).body).toEqual({ user: null, cart: ['pear'] });
    expect((await ours.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
  },
);
