/** The sessions of a user: listed, counted, revoked. And what an attacker tries. */
import assert from 'node:assert/strict';
import { rejection } from '../expectations.js';
import { pause, userOf, type SessionCase } from './subject.js';

const users: readonly SessionCase[] = [
  {
    name: "a user's sessions are listed with their devices, the last used first",
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      assert.deepEqual(await sessions.listByUser(user), []);
      const first = await sessions.create({ user, device: { agent: 'Firefox' } });
      await pause(5);
      const second = await sessions.create({ user, device: { agent: 'Safari' } });
      await sessions.create({ user: `${user}2` });
      const list = await sessions.listByUser(user);
      assert.deepEqual(
        list.map(({ handle, device }) => [handle, device?.['agent']]),
        [
          [second.handle, 'Safari'],
          [first.handle, 'Firefox'],
        ],
      );
      assert.ok(list.every(({ expiresAt, createdAt }) => expiresAt > createdAt));
      assert.equal((await sessions.load(first.id))?.user, user);
    },
  },
  {
    name: 'a session is revoked by its handle, by its own user only',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const session = await sessions.create({ user });
      assert.equal(await sessions.revoke(`${user}2`, session.handle), false);
      assert.ok((await sessions.load(session.id)) !== undefined);
      assert.equal(await sessions.revoke(user, 'x:y'), false);
      assert.equal(await sessions.revoke(user, session.handle), true);
      assert.equal(await sessions.load(session.id), undefined);
      assert.deepEqual(await sessions.listByUser(user), []);
    },
  },
  {
    name: 'log out everywhere counts for the next request of every process',
    async run({ open }, { key }) {
      const [here, there] = [open(), open()];
      const user = userOf(key);
      const all = await Promise.all(Array.from({ length: 5 }, () => here.create({ user })));
      const other = await here.create({ user: `${user}2` });
      assert.equal(await here.destroyAllOfUser(user), 5);
      for (const { id } of all) assert.equal(await there.load(id), undefined);
      assert.ok((await there.load(other.id)) !== undefined);
      assert.equal(await here.destroyAllOfUser(user), 0);
      assert.ok((await here.load((await here.create({ user })).id)) !== undefined);
    },
  },
  {
    name: 'log out everywhere else keeps the session that asked',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const [mine, theirs] = [await sessions.create({ user }), await sessions.create({ user })];
      assert.equal(await sessions.destroyAllOfUser(user, { except: mine }), 1);
      assert.ok((await sessions.load(mine.id)) !== undefined);
      assert.equal(await sessions.load(theirs.id), undefined);
      assert.deepEqual(
        (await sessions.listByUser(user)).map(({ handle }) => handle),
        [mine.handle],
      );
    },
  },
  {
    name: 'what was revoked stays revoked though its data is still there',
    async run({ open, client, namespace }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const all = await Promise.all([sessions.create({ user }), sessions.create({ user })]);
      for (const { handle, state } of all) {
        await client.command('ZREM', [`${namespace}:v1:session-user:{${state.tag}}`, handle]);
      }
      const [read, written] = all;
      assert.equal(await sessions.load(read.id), undefined);
      written.data.visits = 2;
      await rejection(sessions.save(written), 'SESSION_GONE');
    },
  },
  {
    name: 'of too many, the least recently used gives way, also when they come at once',
    async run({ open }, { key }) {
      const sessions = open({ maxPerUser: 3 });
      const user = userOf(key);
      const oldest = await sessions.create({ user });
      await pause(5);
      const rest = await Promise.all(Array.from({ length: 10 }, () => sessions.create({ user })));
      assert.equal((await sessions.listByUser(user)).length, 3);
      assert.equal(await sessions.load(oldest.id), undefined);
      const alive = await Promise.all(rest.map(({ id }) => sessions.load(id)));
      assert.equal(alive.filter((each) => each !== undefined).length, 3);
    },
  },
  {
    name: "with 'refuse' one too many is refused, until another has ended",
    async run({ open }, { key }) {
      const sessions = open({ maxPerUser: 2, onTooMany: 'refuse' });
      const user = userOf(key);
      const [first] = [await sessions.create({ user }), await sessions.create({ user })];
      await rejection(sessions.create({ user }), 'TOO_MANY_SESSIONS');
      await sessions.destroy(first);
      assert.ok((await sessions.create({ user })) !== undefined);
      assert.equal((await sessions.listByUser(user)).length, 2);
    },
  },
];

const rotation: readonly SessionCase[] = [
  {
    name: 'a rotated session has a new id, its data and its user; the old id leads to it for a while',
    async run({ open }, { key }) {
      const sessions = open({ rotationGrace: '400ms' });
      const user = userOf(key);
      const old = await sessions.create({ user, data: { visits: 1 }, device: { agent: 'Safari' } });
      const next = await sessions.rotate(old);
      assert.notEqual(next.id, old.id);
      for (const id of [next.id, old.id]) {
        const found = await sessions.load(id);
        assert.deepEqual(found?.data, { visits: 1 });
        assert.equal(found?.user, user);
        assert.deepEqual(found?.device, { agent: 'Safari' });
      }
      assert.equal((await sessions.listByUser(user)).length, 1);
      await pause(500);
      assert.equal(await sessions.load(old.id), undefined);
      assert.ok((await sessions.load(next.id)) !== undefined);
    },
  },
  {
    name: 'a rotated session counts once among the sessions of its user',
    async run({ open }, { key }) {
      const sessions = open({ maxPerUser: 2, onTooMany: 'refuse' });
      const user = userOf(key);
      let session = await sessions.create({ user });
      for (let i = 0; i < 4; i += 1) session = await sessions.rotate(session);
      const other = await sessions.create({ user });
      for (const { id } of [session, other]) assert.ok((await sessions.load(id)) !== undefined);
    },
  },
  {
    name: 'requests under way with the old id lose nothing by a rotation',
    async run({ open }, { key }) {
      const sessions = open();
      const old = await sessions.create({ user: userOf(key), data: { visits: 1 } });
      const late = await sessions.load(old.id);
      assert.ok(late !== undefined);
      const next = await sessions.rotate(old);
      late.data.theme = 'dark';
      await sessions.save(late);
      const later = await sessions.load(old.id);
      assert.ok(later !== undefined);
      later.data.cart = ['a'];
      await sessions.save(later);
      assert.deepEqual((await sessions.load(next.id))?.data, { visits: 1, theme: 'dark', cart: ['a'] });
    },
  },
  {
    name: 'saves and a rotation at the same time: every saved field is in the new session',
    async run({ open }) {
      const sessions = open();
      for (let round = 0; round < 20; round += 1) {
        const old = await sessions.create();
        const copies = await Promise.all([sessions.load(old.id), sessions.load(old.id)]);
        const saves = copies.map(async (copy, i) => {
          if (copy === undefined) throw new Error('not found');
          Reflect.set(copy.data, `field${i}`, round);
          await sessions.save(copy);
        });
        const [next] = await Promise.all([sessions.rotate(old), ...saves]);
        assert.deepEqual((await sessions.load(next.id))?.data, { field0: round, field1: round });
      }
    },
  },
  {
    name: 'two rotations at once: one session, and the destroyed one is gone under all its ids',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const old = await sessions.create({ user });
      const [a, b] = await Promise.all([sessions.rotate(old), sessions.rotate(old)]);
      assert.equal((await sessions.listByUser(user)).length, 1);
      await sessions.destroyAllOfUser(user);
      for (const id of [old.id, a.id, b.id]) assert.equal(await sessions.load(id), undefined);
    },
  },
  {
    name: 'who logs out with the id of before a rotation is logged out',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const old = await sessions.create({ user });
      const next = await sessions.rotate(await sessions.rotate(old));
      assert.equal(await sessions.destroy(old), true);
      assert.equal(await sessions.load(next.id), undefined);
      assert.deepEqual(await sessions.listByUser(user), []);
    },
  },
  {
    name: 'after a login the id of before opens nothing, and the visit goes on under the new one',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const visitor = await sessions.create({ data: { cart: ['a'] } });
      const account = await sessions.rotate(visitor, { user });
      assert.equal(await sessions.load(visitor.id), undefined);
      const found = await sessions.load(account.id);
      assert.equal(found?.user, user);
      assert.deepEqual(found?.data, { cart: ['a'] });
      assert.equal((await sessions.listByUser(user)).length, 1);
    },
  },
];

const attacks: readonly SessionCase[] = [
  {
    name: 'a copy of the database opens no session',
    async run({ open, client, namespace }, { key }) {
      const sessions = open();
      const session = await sessions.create({ user: userOf(key), data: { name: 'Ada' } });
      const secret = session.id.slice(0, 43);
      for await (const names of client.scan({ match: `${namespace}:v1:session*` })) {
        for (const name of names) {
          assert.ok(!name.includes(secret));
          const type = await client.command<string>('TYPE', [name]);
          if (type === 'none') continue;
          const dump =
            type === 'hash'
              ? await client.command<string[]>('HGETALL', [name])
              : await client.command<string[]>('ZRANGE', [name, 0, -1]);
          assert.ok(!JSON.stringify(dump).includes(secret));
          const handle = name.slice(name.lastIndexOf(':') + 1);
          for (const guess of [handle, `${handle}.${session.state.tag}`]) {
            assert.equal(await sessions.load(guess), undefined);
          }
        }
      }
      assert.ok(!JSON.stringify(session).includes(secret));
    },
  },
  {
    name: "a session's data is worth nothing under another session's key",
    async run({ open, client, namespace }, { key }) {
      const sessions = open();
      const admin = await sessions.create({ user: userOf(key), data: { name: 'admin' } });
      const visitor = await sessions.create({ data: { name: 'visitor' } });
      const place = ({ state }: typeof admin): string =>
        `${namespace}:v1:session:{${state.tag}}:${state.handle}`;
      for (const field of ['m', 'd:name']) {
        const bytes = await client.command<Buffer>('HGET', [place(admin), field], { reply: 'bytes' });
        await client.command('HSET', [place(visitor), field, bytes]);
        assert.equal(await sessions.load(visitor.id), undefined);
      }
    },
  },
  {
    name: 'a planted id is never taken up',
    async run({ open }, { key }) {
      const sessions = open();
      const real = await sessions.create();
      const planted = `${'A'.repeat(43)}${real.id.slice(43)}`;
      assert.equal(await sessions.load(planted), undefined);
      const account = await sessions.create({ user: userOf(key) });
      assert.notEqual(account.id, planted);
      assert.equal(await sessions.load(planted), undefined);
    },
  },
];

export const usersAndAttacks: readonly SessionCase[] = [...users, ...rotation, ...attacks];
