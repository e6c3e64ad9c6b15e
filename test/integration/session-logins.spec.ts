/**
 * Requests that were sent before the answer of a login or a new id arrived: what they answer may reach the browser last,
 * and must not cost the visitor the login.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PLACES } from './http-boot.js';
import { EVERYWHERE, openShop, type Stage } from './session-stage.js';

/** An id of the right form that nobody has: of a session that ended long ago. */
const LONG_GONE = `${'a'.repeat(43)}.${'b'.repeat(16)}`;

async function visitor(stage: Stage): Promise<string> {
  const { cookie } = await stage.ask(undefined, 'POST', 'put/apple');
  expect(cookie).toMatch(/^[\w-]{43}\.[\w-]{16}$/u);
  return cookie ?? '';
}

describe.each(EVERYWHERE)('on %s, %s', (platform, place) => {
  const open = (rotationGrace = '20s'): Promise<Stage> =>
    openShop(platform, place, { session: { rotationGrace: rotationGrace as '20s' } });

  it('a request that comes with the cookie of before a login leaves the one of the login alone', async () => {
    const stage = await open();
    const before = await visitor(stage);
    const login = await stage.ask(before, 'POST', 'login/ada');
    const late = await stage.ask(before, 'POST', 'put/late');
    expect([late.status, late.cookie]).toEqual([201, undefined]);
    expect((await stage.ask(login.cookie, 'GET', 'look')).body).toEqual({
      user: 'ada',
      cart: ['apple', 'greeting'],
    });
    // And what was opened under the old id is open to nobody.
    expect((await stage.ask(before, 'GET', 'look')).body).toEqual({ user: null, cart: [] });
  });

  it('the same where the cookie of before opened nothing', async () => {
    const stage = await open();
    const under = stage.ask(LONG_GONE, 'POST', 'put/late?pause=300');
    await pause(100);
    const login = await stage.ask(LONG_GONE, 'POST', 'login/ada');
    expect(login.cookie).toMatch(/^[\w-]{43}\./u);
    expect((await under).cookie).toBeUndefined();
    expect((await stage.ask(LONG_GONE, 'POST', 'put/later')).cookie).toBeUndefined();
    expect((await stage.ask(login.cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
  });

  it('the same after a logout, whatever the visitor does next', async () => {
    const stage = await open();
    const { cookie: before } = await stage.ask(undefined, 'POST', 'login/ada');
    await stage.ask(before, 'POST', 'logout');
    const login = await stage.ask(undefined, 'POST', 'login/grace');
    expect((await stage.ask(before, 'POST', 'put/late')).cookie).toBeUndefined();
    expect((await stage.ask(login.cookie, 'GET', 'look')).body).toMatchObject({ user: 'grace' });
  });

  it('when no such request can be under way any more, that cookie is replaced like any other', async () => {
    const stage = await open('200ms');
    const before = await visitor(stage);
    await stage.ask(before, 'POST', 'login/ada');
    await pause(300);
    const next = await stage.ask(before, 'POST', 'put/pear');
    expect(next.cookie).toMatch(/^[\w-]{43}\./u);
    expect((await stage.ask(next.cookie, 'GET', 'look')).body).toEqual({ user: null, cart: ['pear'] });
  });

  it.each(['of a visitor', 'that opens nothing'])(
    'of two logins at once with a cookie %s both answers leave the same session, whichever is heard last',
    async (kind) => {
      const stage = await open('1s');
      const round = async (number: number): Promise<void> => {
        const user = `ada-${kind.length}-${number}`;
        const before =
          kind === 'of a visitor' ? await visitor(stage) : LONG_GONE.replace(/^a/u, String(number));
        const login = async (wait: number) => {
          await pause(wait);
          return stage.ask(before, 'POST', `login/${user}`);
        };
        const answers = await Promise.all([login(0), login(number % 4)]);
        expect(answers.map(({ status }) => status)).toEqual([201, 201]);
        await pause(1_100);
        for (const { cookie } of answers) {
          expect((await stage.ask(cookie, 'GET', 'look')).body).toMatchObject({ user });
        }
        expect((await stage.ask(undefined, 'GET', `devices/${user}`)).body).toBe(1);
        expect((await stage.ask(before, 'GET', 'look')).body).toMatchObject({ user: null });
        // One session: what is put in with one cookie is seen with the other, and a logout ends both.
        const [first, second] = answers.map(({ cookie }) => cookie);
        await stage.ask(first, 'POST', 'put/plum');
        expect((await stage.ask(second, 'GET', 'look')).body).toMatchObject({
          cart: expect.arrayContaining(['plum']) as unknown,
        });
        await stage.ask(second, 'POST', 'logout');
        expect((await stage.ask(first, 'GET', 'look')).body).toMatchObject({ user: null });
      };
      await Promise.all(Array.from({ length: 10 }, (_, number) => round(number)));
    },
    20_000,
  );

  it('two logins at once as two users are two sessions, each with the rights of its own', async () => {
    const stage = await open();
    const before = await visitor(stage);
    const users = ['ada', 'grace'];
    const answers = await Promise.all(users.map((user) => stage.ask(before, 'POST', `login/${user}`)));
    for (const [i, { cookie }] of answers.entries()) {
      expect((await stage.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: users[i] });
    }
    expect((await stage.ask(before, 'GET', 'look')).body).toEqual({ user: null, cart: [] });
  });

  it('of two new ids at once both go on after the grace, and the one of before does not', async () => {
    const stage = await open('150ms');
    const { cookie: before } = await stage.ask(undefined, 'POST', 'login/ada');
    const answers = await Promise.all([1, 2, 3].map(() => stage.ask(before, 'POST', 'regenerate')));
    await pause(250);
    for (const { cookie } of answers) {
      expect((await stage.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
    }
    expect((await stage.ask(before, 'GET', 'look')).body).toMatchObject({ user: null });
    expect((await stage.ask(undefined, 'GET', 'devices/ada')).body).toBe(1);
    // The next new id ends all of them.
    const next = await stage.ask(answers[1]?.cookie, 'POST', 'regenerate');
    await pause(250);
    for (const { cookie } of answers) {
      expect((await stage.ask(cookie, 'GET', 'look')).body).toMatchObject({ user: null });
    }
    expect((await stage.ask(next.cookie, 'GET', 'look')).body).toMatchObject({ user: 'ada' });
  });
});

it.each(PLACES)('to log out elsewhere ends no session that has another id by now (%s)', async (place) => {
  const { sessions } = await openShop('express', place);
  const [here, there] = [await sessions.create({ user: 'ada' }), await sessions.create({ user: 'ada' })];
  const late = await sessions.load(here.id);
  const next = await sessions.rotate(here);
  expect(await sessions.destroyAllOfUser('ada', { except: late })).toBe(1);
  expect((await sessions.load(next.id))?.user).toBe('ada');
  expect(await sessions.load(there.id)).toBeUndefined();
});
