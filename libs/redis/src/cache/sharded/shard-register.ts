/**
 * A value that all shards keep together: a majority of them has to take part in every change, so any minority may
 * be away. It is changed by compare-and-set Paxos (CASPaxos): a proposer has its ballot promised, takes the
 * newest value a majority knows, changes it, and has the result accepted.
 *
 * Shards are caches and may forget. One that has forgotten counts as blank; a fleet of blank shards begins anew,
 * with ballots from the wall clock, so that what another shard still knew from before is older.
 */
import { randomBytes } from 'node:crypto';
import { replyItems, replyText, type RedisClient } from '../../connection/index.js';
import { sleep, type Clock } from '../../core/index.js';
import { gatherEnough } from './shard-gather.js';
import { ShardQuorumError } from './sharded.errors.js';
import type { ShardedKeys } from './sharded.keys.js';
import { acceptScript, learnScript, prepareScript, type Accepted } from './sharded.scripts.js';
import { quorumOf, type Topology } from './shard-topology.js';

export interface Known {
  readonly ballot: string;
  readonly topology: Topology;
}

export interface RegisterParts {
  readonly keys: ShardedKeys;
  readonly clock: Clock;
  readonly random: () => number;
  clientOf(id: string): RedisClient | undefined;
  /** From now on the shards that it names can be asked. */
  meet(topology: Topology): void;
}

const ROUNDS = 8;
const TIME_DIGITS = 15;

export class ShardRegister {
  /** Of this process: also its name as a member. */
  readonly id = randomBytes(8).toString('hex');
  readonly #parts: RegisterParts;
  #greatest = '';

  constructor(parts: RegisterParts) {
    this.#parts = parts;
  }

  /**
   * Agrees on what `change` makes of the newest value; undefined leaves it, which also settles a change that
   * somebody else has not finished. `acceptors` is where the value is looked for at first.
   */
  async agree(
    acceptors: readonly string[],
    change: (newest: Topology | undefined) => Topology | undefined,
  ): Promise<Known> {
    let asked = acceptors;
    for (let round = 0; round < ROUNDS; round += 1) {
      const newest = await this.#prepare(asked);
      if (newest !== 'refused') {
        const base = newest.accepted === undefined ? undefined : readTopology(newest.accepted);
        if (base !== undefined && !sameIds(asked, Object.keys(base.shards))) {
          asked = Object.keys(base.shards);
          this.#parts.meet(base);
          continue;
        }
        const topology = change(base) ?? base;
        if (topology === undefined) break;
        const known = { ballot: newest.ballot, topology };
        if (await this.#accept(known, [asked, Object.keys(topology.shards)])) return known;
      }
      await sleep(2 + this.#parts.random() * 10 * (round + 1), { clock: this.#parts.clock });
    }
    throw tooFew('others kept changing it');
  }

  /** What one shard has accepted, and whether it knows that it is agreed on; undefined when it knows nothing. */
  async recall(id: string): Promise<(Known & { readonly isAgreed: boolean }) | undefined> {
    const { keys } = this.#parts;
    const reply = await this.#on(id, (client) => client.command('HMGET', [keys.topology, 'b', 'c', 'v']));
    const [ballot = '', agreed = '', value = ''] = replyItems(reply).map((item) =>
      item === null ? '' : replyText(item),
    );
    if (ballot === '') return undefined;
    return { ballot, topology: readTopology({ ballot, value }), isAgreed: agreed === ballot };
  }

  /** Takes what is agreed on to a shard that does not know it. */
  teach(id: string, { ballot, topology }: Known): void {
    const { keys } = this.#parts;
    const client = this.#parts.clientOf(id);
    const value = JSON.stringify(topology);
    client
      ?.run(acceptScript, [keys.topology], { ballot, value })
      .then(() => client.run(learnScript, [keys.topology], { ballot, channel: keys.channel }))
      .catch(() => undefined);
  }

  async #prepare(asked: readonly string[]): Promise<'refused' | { ballot: string; accepted?: Accepted }> {
    const { keys } = this.#parts;
    const ballot = this.#nextBallot();
    const questions = asked.map((id) =>
      this.#on(id, (client) => client.run(prepareScript, [keys.topology], { ballot })),
    );
    const enough = quorumOf(asked.length);
    const answers = await gatherEnough(questions, (all) => all.filter(({ ok }) => ok).length >= enough);
    for (const { promised } of answers) if (promised > this.#greatest) this.#greatest = promised;
    if (answers.length < enough) throw tooFew(`${answers.length} of ${asked.length} answer`);
    const promises = answers.filter(({ ok }) => ok);
    if (promises.length < enough) return 'refused';
    const known = promises.flatMap(({ accepted }) => accepted ?? []);
    const [newest] = known.toSorted((one, other) => (one.ballot < other.ballot ? 1 : -1));
    return newest === undefined ? { ballot } : { ballot, accepted: newest };
  }

  /** By a majority of those before and of those after: a change of shards is a change of who decides. */
  async #accept({ ballot, topology }: Known, groups: readonly (readonly string[])[]): Promise<boolean> {
    const { keys } = this.#parts;
    const args = { ballot, value: JSON.stringify(topology) };
    const all = [...new Set(groups.flat())];
    const questions = all.map((id) =>
      this.#on(id, async (client) => ((await client.run(acceptScript, [keys.topology], args)) ? id : '')),
    );
    const isEnough = (accepted: readonly string[]): boolean =>
      groups.every((ids) => ids.filter((id) => accepted.includes(id)).length >= quorumOf(ids.length));
    const accepted = await gatherEnough(questions, isEnough);
    if (!isEnough(accepted)) return false;
    const learning = all.map((id) =>
      this.#on(id, (client) => client.run(learnScript, [keys.topology], { ballot, channel: keys.channel })),
    );
    await gatherEnough(learning, (learnt) => learnt.length >= quorumOf(all.length));
    return true;
  }

  #on<T>(id: string, question: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = this.#parts.clientOf(id);
    return client === undefined ? Promise.reject(tooFew(`'${id}' is not known here`)) : question(client);
  }

  /** Compared as texts, here and in Lua, so it has digits and letters of one case only and always the same length. */
  #nextBallot(): string {
    const after = Number(this.#greatest.slice(0, TIME_DIGITS)) + 1;
    const time = Math.max(after, this.#parts.clock.wallNow());
    this.#greatest = String(Math.ceil(time)).padStart(TIME_DIGITS, '0') + this.id;
    return this.#greatest;
  }
}

/** Written by this package; its version is in the key. */
export function readTopology({ value }: Accepted): Topology {
  return JSON.parse(value) as Topology;
}

function sameIds(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((id) => other.includes(id));
}

function tooFew(why: string): ShardQuorumError {
  return new ShardQuorumError(`the shards could not agree: ${why}`, {
    hint: 'more than half of them have to answer; a shard of weight 0 is a cheap further vote',
  });
}
