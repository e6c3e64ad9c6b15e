/** A destroyed session stays destroyed: many races of saves, rotations and one destroy. SESSION_RACES=10000 for more. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import type { Session, SessionService } from '@anbar/nestjs-redis/session';
import { seededRandom, shared } from '../topology/index.js';

const RACES = Number(process.env['SESSION_RACES'] ?? 1_500);
const SEED = Number(process.env['SESSION_SEED'] ?? 20_261_121);
const AT_ONCE = 100;

type Step = (sessions: SessionService, session: Session) => Promise<unknown>;

const STEPS: readonly Step[] = [
  async (sessions, { id }) => {
    const copy = await sessions.load(id);
    if (copy === undefined) return;
    copy.data['n'] = Math.random();
    await sessions.save(copy);
  },
  async (sessions, session) => {
    session.data['m'] = Math.random();
    await sessions.save(session);
  },
  (sessions, session) => sessions.rotate(session),
  (sessions, { id }) => sessions.touch(id),
];

it(`none of ${RACES} comes back (seed ${SEED})`, async () => {
  const { url } = await shared('standalone');
  // A busy machine may answer late, which is no reason to call a race lost.
  const open = (): Redis => createRedis({ url, namespace: 'races', timeout: '5s' }, {});
  const processes = [open(), open()];
  onTestFinished(async () => void (await Promise.all(processes.map((redis) => redis.disconnect()))));
  const random = seededRandom(SEED);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const of = (): SessionService => pick(processes).sessions;
  let back = 0;
  const race = async (number: number): Promise<void> => {
    const user = `user-${number}`;
    const session = await of().create(random() < 0.5 ? { user } : {});
    const steps = Array.from({ length: 4 }, () => pick(STEPS));
    const ends = session.user !== undefined && random() < 0.5;
    const end = ends ? () => of().destroyAllOfUser(user) : () => of().destroy(session);
    const running = steps.map((step) => step(of(), session).catch(isGone));
    await Promise.all([...running, end()]);
    if ((await of().load(session.id)) !== undefined) back += 1;
    if (session.user !== undefined && (await of().listByUser(user)).length > 0) back += 1;
  };
  for (let at = 0; at < RACES; at += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, RACES - at) }, (_, i) => race(at + i)));
  }
  expect(back).toBe(0);
}, 120_000);

function isGone(error: unknown): void {
  expect(String(error)).toMatch(/has ended|changed by another/u);
}
