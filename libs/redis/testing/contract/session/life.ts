/** One session: what it keeps, when it ends, and that it does not come back. */
import assert from 'node:assert/strict';
import { rejection } from '../expectations.js';
import { pause, userOf, type SessionCase } from './subject.js';

const data: readonly SessionCase[] = [
  {
    name: 'what is put in comes out, for every process',
    async run({ open }) {
      const seen = new Date(1_700_000_000_000);
      const { id } = await open().create({ data: { name: 'Ada', cart: ['a'], seen } });
      const found = await open().load(id);
      assert.deepEqual(found?.data, { name: 'Ada', cart: ['a'], seen });
      assert.equal(found?.user, undefined);
      assert.ok(found !== undefined && found.expiresAt > Date.now() + 3_600_000);
    },
  },
  {
    name: 'ids that are none, or nobody has, find nothing',
    async run({ open }) {
      const sessions = open();
      const { id } = await sessions.create();
      const other = `${id.startsWith('A') ? 'B' : 'A'}${id.slice(1)}`;
      for (const wrong of [
        undefined,
        '',
        'x',
        `${id} `,
        id.slice(1),
        `${id}=`,
        '{*}',
        other,
        id.toUpperCase(),
      ]) {
        assert.equal(await sessions.load(wrong), undefined);
      }
      assert.equal(await sessions.destroy('x'), false);
      assert.equal(await sessions.touch(other), false);
    },
  },
  {
    name: 'a save stores what changed, and removes what was taken out',
    async run({ open }) {
      const sessions = open();
      const { id } = await sessions.create({ data: { name: 'Ada', cart: [], theme: 'dark' } });
      const session = await sessions.load(id);
      assert.ok(session !== undefined);
      session.data.cart?.push('b');
      delete session.data.theme;
      session.data.visits = 1;
      await sessions.save(session);
      assert.deepEqual((await sessions.load(id))?.data, { name: 'Ada', cart: ['b'], visits: 1 });
    },
  },
  {
    name: 'one session object may be saved again and again',
    async run({ open }) {
      const sessions = open({ conflict: 'refuse' });
      let session = await sessions.create();
      for (let visits = 1; visits <= 3; visits += 1) {
        session.data.visits = visits;
        session = await sessions.save(session);
      }
      assert.equal((await sessions.load(session.id))?.data.visits, 3);
    },
  },
  {
    name: 'what changes while it is being stored is stored by the next save',
    async run({ open }) {
      const sessions = open();
      const given = { cart: ['a'] };
      const creating = sessions.create({ data: given });
      given.cart.push('b');
      let session = await sessions.save(await creating);
      assert.deepEqual((await sessions.load(session.id))?.data, { cart: ['a', 'b'] });
      const rotating = sessions.rotate(session);
      session.data.cart?.push('c');
      session = await sessions.save(await rotating);
      assert.deepEqual((await sessions.load(session.id))?.data, { cart: ['a', 'b', 'c'] });
      session.data.visits = 1;
      const saving = sessions.save(session);
      session.data.visits = 2;
      session.data.cart?.push('d');
      session.data.theme = 'dark';
      await sessions.save(await saving);
      const stored = { cart: ['a', 'b', 'c', 'd'], visits: 2, theme: 'dark' };
      assert.deepEqual((await sessions.load(session.id))?.data, stored);
    },
  },
  {
    name: 'and so it is where the save has to follow the session to another id',
    async run({ open }) {
      const sessions = open();
      const session = await sessions.create({ data: { theme: 'light', visits: 1 } });
      const next = await sessions.rotate(session);
      session.data.theme = 'dark';
      const saving = sessions.save(session);
      session.data.theme = 'black';
      delete session.data.visits;
      const saved = await saving;
      saved.data.theme = 'dark';
      saved.data.visits = 1;
      await sessions.save(saved);
      assert.deepEqual((await sessions.load(next.id))?.data, { theme: 'dark', visits: 1 });
    },
  },
  {
    name: 'two requests that change different fields both count',
    async run({ open }) {
      const sessions = open();
      const { id } = await sessions.create({ data: { theme: 'dark', visits: 1 } });
      const [a, b] = await Promise.all([sessions.load(id), sessions.load(id)]);
      assert.ok(a !== undefined && b !== undefined);
      a.data.theme = 'light';
      b.data.visits = 2;
      await Promise.all([sessions.save(a), sessions.save(b)]);
      assert.deepEqual((await sessions.load(id))?.data, { theme: 'light', visits: 2 });
    },
  },
  {
    name: "with 'refuse' the later of two saves is refused, and nothing of it stored",
    async run({ open }) {
      const sessions = open({ conflict: 'refuse' });
      const { id } = await sessions.create({ data: { theme: 'dark', visits: 1 } });
      const [a, b] = await Promise.all([sessions.load(id), sessions.load(id)]);
      assert.ok(a !== undefined && b !== undefined);
      a.data.theme = 'light';
      b.data.visits = 2;
      await sessions.save(a);
      await rejection(sessions.save(b), 'SESSION_CONFLICT');
      assert.deepEqual((await sessions.load(id))?.data, { theme: 'light', visits: 1 });
    },
  },
  {
    name: 'a field named __proto__ is data, and what can not be stored is refused',
    async run({ open }) {
      const sessions = open();
      const session = await sessions.create();
      Object.defineProperty(session.data, '__proto__', { value: { admin: true }, enumerable: true });
      await sessions.save(session);
      const found = await sessions.load(session.id);
      assert.equal(Reflect.get(Object(found?.data), 'admin'), undefined);
      Reflect.set(session.data, 'name', () => 1);
      await rejection(sessions.save(session), 'INVALID_SESSION_DATA');
    },
  },
];

const endings: readonly SessionCase[] = [
  {
    name: 'it ends when nobody used it, and use puts that off',
    async run({ open }) {
      const sessions = open({ idle: '600ms', absolute: 'never' });
      const [used, unused] = [await sessions.create(), await sessions.create()];
      for (let i = 0; i < 5; i += 1) {
        await pause(200);
        assert.ok((await sessions.load(used.id)) !== undefined, `after ${i + 1} pauses`);
      }
      assert.equal(await sessions.load(unused.id), undefined);
    },
  },
  {
    name: 'it ends after its absolute time, however much it is used',
    async run({ open }) {
      const sessions = open({ idle: '500ms', absolute: '900ms' });
      const { id } = await sessions.create();
      const startedAt = Date.now();
      while ((await sessions.load(id)) !== undefined) {
        assert.ok(Date.now() - startedAt < 5_000, 'it should have ended');
        assert.equal((await sessions.touch(id)) || Date.now() - startedAt > 800, true);
        await pause(50);
      }
      assert.ok(Date.now() - startedAt >= 850);
    },
  },
  {
    name: 'a destroyed session stays destroyed, whoever still saves it',
    async run({ open }) {
      const sessions = open();
      const session = await sessions.create({ data: { visits: 1 } });
      const late = await sessions.load(session.id);
      assert.equal(await sessions.destroy(session), true);
      assert.equal(await sessions.destroy(session), false);
      assert.ok(late !== undefined);
      late.data.visits = 2;
      await rejection(sessions.save(late), 'SESSION_GONE');
      await rejection(sessions.rotate(late), 'SESSION_GONE');
      assert.equal(await sessions.load(session.id), undefined);
    },
  },
  {
    name: 'none comes back from a race of saves and one destroy (200 races)',
    async run({ open }, { key }) {
      const sessions = open();
      const user = userOf(key);
      const races = Array.from({ length: 200 }, async (_, i) => {
        const session = await sessions.create(i % 2 === 0 ? {} : { user });
        const copies = await Promise.all(Array.from({ length: 3 }, () => sessions.load(session.id)));
        const saves = copies.map(async (copy, visits) => {
          if (copy === undefined) return;
          copy.data.visits = visits;
          await sessions.save(copy).catch((error: unknown) => assert.match(String(error), /has ended/u));
        });
        await Promise.all([...saves.slice(0, 2), sessions.destroy(session), ...saves.slice(2)]);
        return sessions.load(session.id);
      });
      const left = (await Promise.all(races)).filter((found) => found !== undefined);
      assert.equal(left.length, 0);
    },
  },
  {
    name: 'whatever is stored has an expiry',
    async run({ open, client, namespace }, { key }) {
      const sessions = open();
      const session = await sessions.create({ user: userOf(key), data: { visits: 1 } });
      session.data.visits = 2;
      await sessions.rotate(await sessions.save(session));
      const names: string[] = [];
      for await (const batch of client.scan({ match: `${namespace}:v1:session*` })) names.push(...batch);
      const left = await Promise.all(names.map((name) => client.command<number>('PTTL', [name])));
      assert.ok(names.length >= 3);
      assert.ok(
        left.every((ms) => ms > 0 || ms === -2),
        `without an expiry: ${left.filter((ms) => ms === -1).length}`,
      );
    },
  },
];

export const life: readonly SessionCase[] = [...data, ...endings];
