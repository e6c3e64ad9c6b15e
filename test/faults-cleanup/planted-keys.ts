/**
 * A keyspace as years leave it behind: keys of every capability, healthy and damaged in every way the clean-up knows,
 * and beside them keys that only look alike. Each is planted together with what has to become of it.
 *
 * What is damaged is written with plain commands, as whoever damaged it did.
 */
import { CacheKeys } from '@anbar/nestjs-redis/cache';
import { createCodec } from '@anbar/nestjs-redis/codec';
import type { Arg, RedisClient } from '@anbar/nestjs-redis/connection';
import { createRandom, type Random } from '@anbar/nestjs-redis/testing';

/** `gone`: has to be removed. `ends`: has to get an expiry. `stays`: has to be there as it was. `lasts`: may not expire. */
type Fate = 'gone' | 'ends' | 'stays' | 'lasts';

export interface Planted {
  readonly fates: ReadonlyMap<string, Fate>;
  /** By rule, what a report has to say. */
  readonly removed: Readonly<Record<string, number>>;
  readonly expiring: Readonly<Record<string, number>>;
}

interface Entry {
  readonly clock?: number;
  readonly expiresAt?: number;
  readonly createdAt?: number;
  readonly tags?: readonly string[];
}

const HOUR = 3_600_000;
const CLOCK = 1_000;
const PATIENT = { timeout: '10s' } as const;
const BATCH = 400;

class Planter {
  readonly fates = new Map<string, Fate>();
  readonly removed = new Map<string, number>();
  readonly expiring = new Map<string, number>();
  readonly #client: RedisClient;
  readonly #codec = createCodec();
  #commands: { name: string; args: readonly Arg[] }[] = [];

  constructor(
    client: RedisClient,
    readonly namespace: string,
    readonly random: Random,
  ) {
    this.#client = client;
  }

  get root(): string {
    return `${this.namespace}:v1`;
  }

  /** One key and its fate; `rule` is what a report counts it under. */
  plant(
    key: string,
    fate: Fate,
    commands: readonly (readonly [name: string, ...args: Arg[]])[],
    rule = '',
  ): void {
    this.fates.set(key, fate);
    const counts = fate === 'gone' ? this.removed : fate === 'ends' ? this.expiring : undefined;
    if (counts !== undefined) counts.set(rule, (counts.get(rule) ?? 0) + 1);
    this.#commands.push(...commands.map(([name, ...args]) => ({ name, args })));
  }

  string(key: string, fate: Fate, value: Arg, { rule = '', ttlMs = 0 } = {}): void {
    this.plant(key, fate, [['SET', key, value, ...(ttlMs === 0 ? [] : ['PX', ttlMs])]], rule);
  }

  async value(name: string, fate: Fate, entry: Entry, ttlMs = 0): Promise<void> {
    const key = new CacheKeys(this.namespace, 'books').value(name);
    const createdAt = Date.now() - HOUR;
    const { namespace } = this;
    const bytes = await this.#codec.encode(
      { name },
      { namespace, key, entry: { createdAt, clock: CLOCK, ...entry } },
    );
    this.string(key, fate, bytes, { rule: 'value', ttlMs });
  }

  clock(tag: string, fate: Fate, clock: number, ttlMs = 0): void {
    const key = new CacheKeys(this.namespace, 'books').tag(tag);
    this.string(key, fate, clock, { rule: 'tag-clock', ttlMs });
  }

  async flush(): Promise<void> {
    const results = await this.#client.pipeline(this.#commands, PATIENT);
    for (const result of results) if (!result.ok) throw result.error;
    this.#commands = [];
  }
}

/** `rounds` of each kind; `confined` to the namespace, where nothing else may be written. */
export async function plant(
  client: RedisClient,
  namespace: string,
  { rounds, seed, confined = false }: { rounds: number; seed: number; confined?: boolean },
): Promise<Planted> {
  const random = createRandom(seed);
  const planter = new Planter(client, namespace, random);
  planter.string(`${planter.root}:clock`, 'stays', CLOCK);
  planter.string(`${planter.root}:tag:{%flush:books}`, 'stays', CLOCK - 500);
  for (let i = 0; i < rounds; i += 1) {
    await plantValues(planter, i);
    plantClocks(planter, i);
    plantLeases(planter, i);
    plantLocks(planter, i);
    plantLimits(planter, i);
    plantSessions(planter, i);
    plantOthers(planter, i);
    if (!confined) plantForeign(planter, i);
    await planter.flush();
  }
  return {
    fates: planter.fates,
    removed: Object.fromEntries(planter.removed),
    expiring: Object.fromEntries(planter.expiring),
  };
}

async function plantValues(planter: Planter, i: number): Promise<void> {
  const now = Date.now();
  const left = planter.random.integer(HOUR, 24 * HOUR);
  await planter.value(`healthy:${i}`, 'stays', { expiresAt: now + left }, left);
  await planter.value(`persisted:${i}`, 'ends', { expiresAt: now + left });
  await planter.value(`over:${i}`, 'gone', { expiresAt: now - planter.random.integer(1, HOUR) });
  await planter.value(`for-ever:${i}`, 'stays', {});
  await planter.value(`flushed:${i}`, 'gone', { clock: CLOCK - 501 });
  await planter.value(`tagged:${i}`, 'stays', { tags: [`good:${i}`] });
  await planter.value(`invalidated:${i}`, 'gone', { tags: [`good:${i}`, `moved:${i}`] });
  await planter.value(`untagged:${i}`, 'gone', { tags: [`lost:${i}`] });
  await planter.value(`just-stored:${i}`, 'stays', { createdAt: now + HOUR, tags: [`late:${i}`] });
  planter.string(`${planter.root}:cache:books:{counter:${i}}`, 'stays', i);
  const hash = `${planter.root}:cache:books:{hash:${i}}`;
  planter.plant(hash, 'stays', [['HSET', hash, 'field', 'x']]);
  planter.string(`${planter.root}:cache:books:{foreign:${i}}`, 'stays', 'no envelope');
  const list = `${planter.root}:cache:books:{list:${i}}`;
  planter.plant(list, 'stays', [['RPUSH', list, 'x']]);
}

function plantClocks(planter: Planter, i: number): void {
  planter.clock(`good:${i}`, 'stays', CLOCK);
  planter.clock(`moved:${i}`, 'ends', CLOCK + 1);
  planter.clock(`late:${i}`, 'lasts', CLOCK + 7, 48 * HOUR);
  planter.clock(`unused:${i}`, 'ends', CLOCK + 3);
  planter.clock(`short:${i}`, 'stays', CLOCK + 4, 2 * HOUR);
}

function plantLeases(planter: Planter, i: number): void {
  const lease = (name: string): string => `${planter.root}:lease:books:{${name}:${i}}`;
  planter.string(lease('dead'), 'gone', `+${'a'.repeat(20)}`, { rule: 'lease' });
  planter.string(lease('held'), 'stays', `+${'b'.repeat(20)}`, { ttlMs: HOUR });
  planter.string(`${planter.root}:lease:no-tag:${i}`, 'stays', 'x');
}

function plantLocks(planter: Planter, i: number): void {
  const key = (kind: string, name: string): string => `${planter.root}:${kind}:{${name}:${i}}`;
  planter.string(key('lock', 'dead'), 'ends', `${'c'.repeat(22)}17`, { rule: 'lock' });
  planter.string(key('lock', 'held'), 'stays', `${'d'.repeat(22)}18`, { ttlMs: HOUR });
  const fence = key('lock-fence', 'dead');
  planter.plant(fence, 'ends', [['HSET', fence, 'n', 17]], 'lock');
  const queue = key('lock-queue', 'dead');
  planter.plant(queue, 'ends', [['ZADD', queue, 1, 'ticket']], 'lock');
  planter.string(key('lock-turn', 'dead'), 'ends', 'ticket', { rule: 'lock' });
  planter.string(`${planter.root}:lock:{odd:${i}}tail`, 'stays', 'x');
}

function plantLimits(planter: Planter, i: number): void {
  const key = (code: string, name: string): string =>
    `${planter.root}:limit:${code}:{${name}:${i}}:per-minute`;
  const rule = { rule: 'limit' };
  const now = Date.now();
  planter.string(key('g', 'over'), 'gone', (now - HOUR) * 1_000, rule);
  planter.string(key('g', 'counts'), 'ends', (now + HOUR) * 1_000, rule);
  planter.string(key('g', 'healthy'), 'stays', (now + HOUR) * 1_000, { ttlMs: HOUR });
  planter.string(key('f', 'window'), 'gone', 12, rule);
  planter.string(key('s', 'window'), 'ends', `${Math.floor(now / HOUR)} 3 4`, rule);
  planter.string(key('pg', 'penalty'), 'gone', 1, rule);
  const [over, held] = [key('c', 'over'), key('c', 'held')];
  planter.plant(over, 'gone', [['ZADD', over, (now - HOUR) * 1_000, 'holder']], 'limit');
  planter.plant(held, 'ends', [['ZADD', held, (now + HOUR) * 1_000, 'holder']], 'limit');
}

function plantSessions(planter: Planter, i: number): void {
  const tag = (kind: string): string => `${kind}${i}`.padEnd(16, '-');
  const handle = (name: string): string => name.padEnd(43, '_');
  const session = (kind: string, name: string): string =>
    `${planter.root}:session:{${tag(kind)}}:${handle(name)}`;
  const index = (kind: string): string => `${planter.root}:session-user:{${tag(kind)}}`;
  const now = Date.now();
  const put = (
    [kind, name]: readonly [kind: string, name: string],
    fate: Fate,
    { ttlMs = 0, ...fields }: Readonly<Record<string, number>> = {},
  ): void => {
    const key = session(kind, name);
    const all = { i: HOUR, a: 0, t: now, v: 1, x: 1, ...fields };
    const expiry = ttlMs === 0 ? [] : [['PEXPIRE', key, ttlMs] as const];
    planter.plant(key, fate, [['HSET', key, ...Object.entries(all).flat()], ...expiry], 'session');
  };
  const list = (kind: string, fate: Fate, names: readonly string[], ttlMs = 2 * HOUR): void => {
    const key = index(kind);
    const members = names.flatMap((name) => [now + HOUR, handle(name)]);
    const expiry = ttlMs === 0 ? [] : [['PEXPIRE', key, ttlMs] as const];
    planter.plant(key, fate, [['ZADD', key, ...members], ...expiry], 'session-index');
  };
  put(['alive', 'phone'], 'stays', { ttlMs: HOUR });
  list('alive', 'stays', ['phone']);
  list('orphan', 'gone', ['evicted', 'evicted-too']);
  put(['rest', 'here'], 'stays', { ttlMs: HOUR });
  list('rest', 'stays', ['here', 'evicted']);
  put(['persisted', 'used'], 'ends');
  list('persisted', 'ends', ['used'], 0);
  put(['idle', 'long'], 'gone', { t: now - 2 * HOUR });
  put(['idle', 'other'], 'stays', { ttlMs: HOUR });
  list('idle', 'stays', ['long', 'other']);
  put(['revoked', 'out'], 'gone');
  put(['nobody', 'visitor'], 'ends', { x: 0 });
  put(['ended', 'absolute'], 'gone', { x: 0, a: now - 1_000 });
  const moved = session('nobody', 'moved');
  planter.plant(moved, 'gone', [['HSET', moved, 'r', handle('next')]], 'session');
  const record = `${planter.root}:express-session:${handle(`e${i}`)}`;
  planter.string(record, 'ends', 'sealed', { rule: 'express-session' });
  planter.string(index('odd'), 'stays', 'no sorted set');
}

/** What is no business of the clean-up, however much it looks like it. */
function plantOthers(planter: Planter, i: number): void {
  const { namespace, root } = planter;
  const stream = `${root}:stream:{orders:${i}}`;
  planter.plant(stream, 'stays', [['XADD', stream, '*', 'n', 1, 'm', 'x']]);
  planter.string(`${root}:stream-count:{orders:${i}}`, 'stays', 1);
  planter.string(`${root}:tasks:{q}:later:${i}`, 'stays', 1);
  planter.string(`${root}:health:${i}`, 'stays', 1);
  for (const near of ['v2', 'v1x', 'v1:leases', 'v1:cache:x']) {
    planter.string(`${namespace}:${near}:lease:books:{dead:${i}}`, 'stays', `+${'e'.repeat(20)}`);
  }
}

function plantForeign(planter: Planter, i: number): void {
  const { namespace } = planter;
  for (const near of [`${namespace}x`, `x${namespace}`, `${namespace}:eu`, namespace.toUpperCase()]) {
    planter.string(`${near}:v1:lease:books:{dead:${i}}`, 'stays', `+${'e'.repeat(20)}`);
    planter.string(`${near}:v1:limit:f:{window:${i}}:x`, 'stays', 12);
  }
  planter.string(`foreign:${i}`, 'stays', 'x');
}

/** What is there now, as far as fates go. */
export async function look(
  client: RedisClient,
  keys: Iterable<string>,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const names = [...keys];
  for (let at = 0; at < names.length; at += BATCH) {
    const some = names.slice(at, at + BATCH);
    const lefts = await client.pipeline(
      some.map((key) => ({ name: 'PTTL', args: [key] })),
      PATIENT,
    );
    for (const [i, left] of lefts.entries()) {
      if (!left.ok) throw left.error;
      found.set(some[i] ?? '', left.value === -2 ? 'absent' : left.value === -1 ? 'for ever' : 'expiring');
    }
  }
  return found;
}

/** What should be there, by what was there before. */
export function expected(
  { fates }: Planted,
  before: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const after: Readonly<Record<Fate, (was: string) => string>> = {
    gone: () => 'absent',
    ends: () => 'expiring',
    lasts: () => 'for ever',
    stays: (was) => was,
  };
  return new Map([...fates].map(([key, fate]) => [key, after[fate](before.get(key) ?? 'absent')]));
}
