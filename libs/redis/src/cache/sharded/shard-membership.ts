/**
 * This process as a member of the fleet. It follows the topology under a lease: while enough shards have confirmed
 * in time that what it follows is what is agreed on, it may act by it; whoever changes the topology waits until
 * every member follows the change or has lost its lease. So nobody ever acts by what is two changes old.
 */
import type { RedisClient, Subscription } from '../../connection/index.js';
import { sleep, type Clock, type Timer } from '../../core/index.js';
import { gatherEnough } from './shard-gather.js';
import { readTopology, type Known, type ShardRegister } from './shard-register.js';
import { View, quorumOf, witnessesOf, type Topology } from './shard-topology.js';
import { ShardQuorumError, ShardUnavailableError } from './sharded.errors.js';
import type { ShardedKeys } from './sharded.keys.js';
import { membersScript, renewMemberScript, type Renewed } from './sharded.scripts.js';

export interface MembershipParts {
  readonly register: ShardRegister;
  readonly keys: ShardedKeys;
  readonly clock: Clock;
  readonly leaseMs: number;
  clientOf(id: string): RedisClient | undefined;
  /** The shards this process was given: where a topology is looked for. */
  readonly seeds: readonly string[];
  /** Makes the first topology when nobody knows any. */
  found(): Promise<Topology>;
  /** From now on the shards that it names can be asked. */
  meet(topology: Topology): void;
  /** A new topology is followed from now on. */
  onView(view: View, before: View | undefined): void;
  /** Settles when nothing is under way any more that was begun by an older one. */
  settled(view: View): Promise<void>;
  /** Settles when nothing is under way at all. */
  readonly idle: () => Promise<void>;
}

/** A server's clock and ours may differ in pace. */
const PACE = 0.95;
const POLL_MS = 3;
/** A change that somebody has begun gets so many looks before it is finished for them. */
const LOOKS = 5;

export class ShardMembership {
  readonly #parts: MembershipParts;
  #view: View | undefined;
  #leaseEndsAt = -Infinity;
  /** The epoch this process has nothing older than under way. */
  #settledEpoch = 0;
  /** The epoch that everybody who may act has nothing older than under way. */
  #inForceEpoch = 0;
  #unfinished = 0;
  #renewing: Promise<boolean> | undefined;
  #isLookingElsewhere = false;
  #timer: Timer | undefined;
  #listening = new Map<string, Subscription>();
  #driverMissing = 0;
  #closed = false;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** What is agreed on, as long as that is certain. */
  get view(): View | undefined {
    return this.#parts.clock.now() < this.#leaseEndsAt ? this.#view : undefined;
  }

  /** What was last agreed on; to be acted by only when nothing depends on it. */
  get lastView(): View | undefined {
    return this.#view;
  }

  /** The process that carries a move out has left, as far as two looks can tell. */
  get driverIsGone(): boolean {
    return this.#driverMissing > 2;
  }

  holds(view: View): boolean {
    return this.view === view;
  }

  start(): void {
    if (this.#timer !== undefined || this.#closed) return;
    const { clock, leaseMs } = this.#parts;
    const again = (): void => {
      if (this.#closed) return;
      this.#timer = clock.after(leaseMs / 4, () => {
        void this.renew()
          .catch(() => false)
          .then(again);
      });
    };
    again();
    void this.renew().catch(() => false);
  }

  /** @returns whether this process may act by what it follows */
  renew(): Promise<boolean> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /**
   * One change of the topology, in force for everybody when this settles. `change` returns undefined when there is
   * nothing to do any more.
   */
  async change(change: (topology: Topology) => Topology | undefined): Promise<View> {
    for (;;) {
      const view = this.#view;
      if (view === undefined) throw new ShardQuorumError('no topology is known yet');
      // Changes follow each other one by one: everybody has to be at this one before there is the next.
      await this.#confirmed(view);
      let ours = false;
      const known = await this.#parts.register.agree(view.ids, (newest) => {
        const next = newest?.epoch === view.epoch ? change(newest) : undefined;
        ours = next !== undefined;
        return next === undefined ? undefined : { ...next, epoch: view.epoch + 1 };
      });
      const next = this.#follow(known);
      if (ours || change(known.topology) === undefined) {
        await this.#confirmed(next);
        return next;
      }
    }
  }

  /** Whether all who take part reach that shard: they have told it so, as they have the others. */
  async isReachedByAll(id: string, { ids, ballot }: View): Promise<boolean> {
    const { keys } = this.#parts;
    const membersOn = async (each: string): Promise<readonly string[]> => {
      const client = this.#parts.clientOf(each);
      if (client === undefined) throw new ShardQuorumError(`'${each}' is not known here`);
      const args = { ballot, epoch: Number.MAX_SAFE_INTEGER };
      return (await client.run(membersScript, [keys.topology, keys.members], args)).behind;
    };
    const [there, ...elsewhere] = await Promise.all([
      membersOn(id).catch(() => undefined),
      ...ids.filter((each) => each !== id).map((each) => membersOn(each).catch(() => [])),
    ]);
    return there !== undefined && elsewhere.flat().every((member) => there.includes(member));
  }

  /** Settles when nobody acts any more by what was before it. */
  async inForce(view: View): Promise<void> {
    if (this.#inForceEpoch < view.epoch) await this.#confirmed(view);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#leaseEndsAt = -Infinity;
    await Promise.allSettled([...this.#listening.values()].map((subscription) => subscription.close()));
    const { keys, register, clock, leaseMs, idle } = this.#parts;
    // Who has left is not waited for any more, so what it has begun has to be over; after a lease it has left anyway.
    await Promise.race([idle(), sleep(leaseMs, { clock, keepAlive: false })]);
    const leaving = (this.#view?.ids ?? []).map(async (id) =>
      this.#parts.clientOf(id)?.command('HDEL', [keys.members, register.id]),
    );
    await Promise.allSettled(leaving);
  }

  async #renew(): Promise<boolean> {
    const view = this.#view ?? (await this.#join());
    this.#listen(view.ids);
    const { clock, leaseMs } = this.#parts;
    const since = clock.now();
    const answers = await this.#ask(view);
    const newer = answers.find(
      ({ renewed: { accepted, agreed } }) =>
        agreed && accepted !== undefined && accepted.ballot > view.ballot,
    );
    if (newer?.renewed.accepted !== undefined) {
      const { accepted } = newer.renewed;
      this.#follow({ ballot: accepted.ballot, topology: readTopology(accepted) });
      return this.#renew();
    }
    await this.#finishOthers(view, answers);
    this.#remind(view, answers);
    this.#watchDriver(view, answers);
    const confirming = answers.filter(({ renewed }) => renewed.accepted?.ballot === view.ballot);
    if (confirming.length < witnessesOf(view.ids.length)) {
      if (this.view === undefined) this.#lookElsewhere(view).catch(() => undefined);
      return false;
    }
    if (this.#closed || view !== this.#view) return false;
    this.#leaseEndsAt = Math.max(this.#leaseEndsAt, since + leaseMs * PACE);
    return true;
  }

  async #ask(view: View): Promise<readonly { id: string; renewed: Renewed }[]> {
    const { keys, register, leaseMs } = this.#parts;
    const args = {
      member: register.id,
      epoch: this.#settledEpoch,
      leaseMs,
      ballot: view.ballot,
      driver: view.topology.move?.driver ?? '',
    };
    const questions = view.ids.map(async (id) => {
      const client = this.#parts.clientOf(id);
      if (client === undefined) throw new ShardQuorumError(`'${id}' is not known here`);
      return { id, renewed: await client.run(renewMemberScript, [keys.topology, keys.members], args) };
    });
    // A newer one has to be seen by whom alone knows it: all are asked, and those that are away not waited for.
    const enough = quorumOf(view.ids.length);
    return gatherEnough(questions, (all) => all.length >= enough);
  }

  /** Finds the topology there is, or begins a new one. */
  async #join(): Promise<View> {
    const { register, seeds, clock, leaseMs } = this.#parts;
    const { agreed, newest } = await this.#look(seeds);
    // One that was a member once is enough. Whether this is in force still, those say whom it names.
    if (agreed !== undefined) return this.#follow(agreed);
    if (newest !== undefined) {
      this.#parts.meet(newest.topology);
      return this.#follow(await register.agree(Object.keys(newest.topology.shards), () => undefined));
    }
    const founded = await this.#parts.found();
    let ours = false;
    const known = await register.agree(seeds, (before) => {
      ours = before === undefined;
      return ours ? founded : undefined;
    });
    // Somebody may still act by a topology that all shards have forgotten.
    const lasting = seeds.some((id) => this.#parts.clientOf(id)?.topology !== 'embedded');
    if (ours && lasting) await sleep(leaseMs, { clock, keepAlive: false });
    return this.#follow(known);
  }

  /** What these shards know, asked without taking part: the newest of all, and the newest that is agreed on. */
  async #look(ids: readonly string[]): Promise<{ agreed: Known | undefined; newest: Known | undefined }> {
    const questions = ids.map((id) => this.#parts.register.recall(id));
    const answers = await gatherEnough(questions, (all) => all.length === ids.length);
    const known = answers
      .flatMap((recalled) => recalled ?? [])
      .toSorted((one, other) => (one.ballot < other.ballot ? 1 : -1));
    return { agreed: known.find(({ isAgreed }) => isAgreed), newest: known[0] };
  }

  /** What nobody confirms may be old: a shard that it does not name may know what has followed. */
  async #lookElsewhere({ ids }: View): Promise<void> {
    if (this.#isLookingElsewhere) return;
    this.#isLookingElsewhere = true;
    const others = this.#parts.seeds.filter((id) => !ids.includes(id));
    const { agreed } = await this.#look(others);
    this.#isLookingElsewhere = false;
    if (agreed !== undefined && !this.#closed) this.#follow(agreed);
  }

  #follow(known: Known): View {
    if (this.#closed) throw new ShardUnavailableError('the cache was disconnected');
    const before = this.#view;
    if (before !== undefined && known.ballot <= before.ballot) return before;
    if (before !== undefined && known.topology.epoch === before.epoch) {
      // The same, settled again under another ballot.
      const again = new View(known.ballot, known.topology, before);
      this.#view = again;
      if (this.#settledEpoch === before.epoch) this.#renewSoon();
      return again;
    }
    const view = new View(known.ballot, known.topology, before);
    this.#view = view;
    this.#unfinished = 0;
    this.#driverMissing = 0;
    // The lease holds for the next topology too: the one after that waits for our word or for its end.
    if (known.topology.epoch !== (before?.epoch ?? 0) + 1) this.#leaseEndsAt = -Infinity;
    this.#parts.onView(view, before);
    void this.#settle(view);
    return view;
  }

  /** Nobody waits for it: what has come of it, the next one sees. */
  #renewSoon(): void {
    this.renew().catch(() => false);
  }

  async #settle(view: View): Promise<void> {
    this.#renewSoon();
    await this.#parts.settled(view);
    if (this.#view?.epoch !== view.epoch) return;
    this.#settledEpoch = view.epoch;
    await this.#renewing?.catch(() => false);
    await this.renew().catch(() => false);
  }

  /** Everybody who may act follows it, and has nothing older under way. */
  async #confirmed(view: View): Promise<void> {
    const { keys, clock, leaseMs } = this.#parts;
    const until = clock.now() + leaseMs * 3;
    while (clock.now() < until && !this.#closed) {
      if (this.#view !== undefined && this.#view.epoch > view.epoch) return;
      const questions = view.ids.map(async (id) => {
        const client = this.#parts.clientOf(id);
        if (client === undefined) throw new ShardQuorumError(`'${id}' is not known here`);
        const args = { ballot: view.ballot, epoch: view.epoch };
        const { knows, behind } = await client.run(membersScript, [keys.topology, keys.members], args);
        if (!knows || behind.length > 0) throw new ShardQuorumError(`'${id}' has members that are behind`);
      });
      const enough = quorumOf(view.ids.length);
      const agreeing = await gatherEnough(questions, (all) => all.length >= enough);
      if (agreeing.length >= enough && this.#settledEpoch >= view.epoch && this.view !== undefined) {
        this.#inForceEpoch = Math.max(this.#inForceEpoch, view.epoch);
        return;
      }
      if (this.view === undefined) await this.renew().catch(() => false);
      await sleep(POLL_MS, { clock });
    }
    throw new ShardQuorumError('not every process could be told of the change in time', {
      hint: 'one of them can not reach the shards',
    });
  }

  /** Accepted by some and agreed on by nobody: whoever proposed it may have died. */
  async #finishOthers(view: View, answers: readonly { renewed: Renewed }[]): Promise<void> {
    const open = answers.some(
      ({ renewed: { accepted, agreed } }) =>
        accepted !== undefined && !agreed && accepted.ballot > view.ballot,
    );
    this.#unfinished = open ? this.#unfinished + 1 : 0;
    if (!open) return;
    if (this.#unfinished < LOOKS) {
      this.#parts.clock.after(20, () => void this.renew().catch(() => false));
      return;
    }
    this.#unfinished = 0;
    this.#follow(await this.#parts.register.agree(view.ids, () => undefined));
  }

  /** Shards that were away, or have forgotten. */
  #remind(view: View, answers: readonly { id: string; renewed: Renewed }[]): void {
    for (const { id, renewed } of answers) {
      const { accepted, agreed } = renewed;
      const behind = accepted === undefined || accepted.ballot < view.ballot;
      if (behind || (!agreed && accepted.ballot === view.ballot)) this.#parts.register.teach(id, view);
    }
  }

  #watchDriver(view: View, answers: readonly { renewed: Renewed }[]): void {
    if (view.topology.move === undefined) return;
    const alive = answers.some(({ renewed }) => renewed.driverAlive);
    this.#driverMissing = alive ? 0 : this.#driverMissing + 1;
  }

  #listen(ids: readonly string[]): void {
    for (const [id, subscription] of this.#listening) {
      if (ids.includes(id)) continue;
      this.#listening.delete(id);
      subscription.close().catch(() => undefined);
    }
    for (const id of ids) {
      const client = this.#parts.clientOf(id);
      if (client === undefined || this.#listening.has(id) || this.#closed) continue;
      const look = (): void => {
        // What is under way may have asked before the change.
        const after = this.#renewing ?? Promise.resolve(true);
        void after.catch(() => false).then(() => this.renew().catch(() => false));
      };
      const subscription = client.subscribe({
        channels: [this.#parts.keys.channel],
        onMessage: look,
        onGap: look,
      });
      subscription.ready.catch(() => undefined);
      this.#listening.set(id, subscription);
    }
  }
}
