/**
 * Questions that come close together leave as one script call. They come from different sockets, whose answers the
 * loop reads one after the other, so they are gathered until the end of the turn, and on from there as long as each
 * turn brings more: what a call costs the process is mostly the writing of it, whatever is in it. One that comes
 * alone waits for nobody, and nobody longer than a millisecond. In a cluster only those of one slot can go together,
 * so there one turn is enough; the client writes them at once too, call by call.
 */
import { keySlot, type CallOptions, type RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { itemsOf, keysOf, pushKeys, type Question } from './ask.js';
import { gcraScript, gcraState, isPlain } from './gcra.scripts.js';
import { takeScript, type TakeArgs, type TakeItem, type TakeState } from './take.scripts.js';

export interface TakeCall {
  readonly question: Question;
  readonly mode: TakeArgs['mode'];
  readonly want?: number | undefined;
  readonly holder?: string | undefined;
}

/** Which script will do: only what has nothing beside goes the short way. */
type Way = 'plain' | TakeArgs['mode'];

interface Waiting {
  readonly call: TakeCall;
  readonly items: readonly TakeItem[];
  readonly way: Way;
  readonly resolve: (states: readonly TakeState[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Enough to matter, few enough not to hold the server up: about 0.2 ms of its time. */
const MAX_KEYS = 128;

/**
 * From here on another one adds little to a call, and waiting for it only keeps the server idle: what comes after it
 * goes with the next call, which the server works on while the answers of this one are read.
 */
const ENOUGH_KEYS = 32;
const LONGEST_GATHERING_MS = 1;

export class TakeBatch {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #options: CallOptions;
  readonly #bySlot: boolean;
  #waiting: Waiting[] = [];
  #keysWaiting = 0;
  #underWay = 0;
  #gathering = false;
  #pausing: Timer | undefined;
  #since = 0;
  /** How many waited when the last turn ended. */
  #seen = 0;

  constructor(client: RedisClient, clock: Clock, options: CallOptions = {}) {
    this.#client = client;
    this.#clock = clock;
    this.#options = options;
    this.#bySlot = client.topology === 'cluster';
  }

  take(call: TakeCall): Promise<readonly TakeState[]> {
    const { question, mode, want = 0, holder = '' } = call;
    const items = want === 0 && holder === '' ? question.items : itemsOf(question.limits, { want, holder });
    const way = mode === 'consume' && items.every(isPlain) ? 'plain' : mode;
    // What runs inside the process has no trip to share.
    if (this.#client.topology === 'embedded') return this.#run(way, keysOf(question.limits), items);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, items, way, resolve, reject });
      this.#keysWaiting += items.length;
      if (this.#waiting.length === 1) this.#gather();
      // A full one has nothing to wait for.
      else if (this.#keysWaiting >= ENOUGH_KEYS) this.#flush();
    });
  }

  #gather(): void {
    this.#since = this.#clock.now();
    // While a call is under way others are likely to come.
    this.#seen = this.#underWay > 0 ? 0 : 1;
    if (this.#gathering) return;
    this.#gathering = true;
    this.#clock.turn(this.#endOfTurn);
  }

  readonly #endOfTurn = (): void => {
    const count = this.#waiting.length;
    const leftMs = LONGEST_GATHERING_MS - (this.#clock.now() - this.#since);
    if (this.#bySlot || this.#keysWaiting >= ENOUGH_KEYS || leftMs <= 0) {
      this.#gathering = false;
      this.#flush();
    } else if (count > this.#seen) {
      this.#seen = count;
      this.#clock.turn(this.#endOfTurn);
    } else if (this.#underWay > 0) {
      // Whoever is answered by the call before asks again at once.
      this.#pausing = this.#clock.after(leftMs, this.#goOn);
    } else {
      this.#gathering = false;
      this.#flush();
    }
  };

  readonly #goOn = (): void => {
    if (this.#pausing === undefined) return;
    this.#pausing.cancel();
    this.#pausing = undefined;
    // With whatever else arrives in this turn, and no other.
    this.#seen = Infinity;
    this.#clock.turn(this.#endOfTurn);
  };

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#keysWaiting = 0;
    for (const batch of batchesOf(waiting, this.#bySlot)) void this.#send(batch);
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const keys: string[] = [];
    const items: TakeItem[] = [];
    for (const { call, items: its } of batch) {
      pushKeys(keys, call.question.limits);
      for (const item of its) items.push(item);
    }
    this.#underWay += 1;
    try {
      const states = await this.#run(batch[0]?.way ?? 'consume', keys, items);
      let at = 0;
      for (const { items: its, resolve } of batch) {
        resolve(states.length === its.length ? states : states.slice(at, at + its.length));
        at += its.length;
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#goOn();
    }
  }

  async #run(way: Way, keys: string[], items: readonly TakeItem[]): Promise<readonly TakeState[]> {
    if (way !== 'plain') {
      return (await this.#client.run(takeScript, keys, { mode: way, items }, this.#options)).states;
    }
    const { resets } = await this.#client.run(gcraScript, keys, { items }, this.#options);
    return items.map((item, i) => gcraState(item, resets[i] ?? -1));
  }
}

/** By way and, in a cluster, by slot; in the order they came. */
function batchesOf(waiting: readonly Waiting[], bySlot: boolean): Iterable<readonly Waiting[]> {
  const all: Waiting[][] = [];
  const open = new Map<string, { list: Waiting[]; keys: number }>();
  for (const each of waiting) {
    const { call, way, items } = each;
    const home = bySlot ? `${way}${keySlot(call.question.limits[0]?.key ?? '')}` : way;
    const batch = open.get(home);
    if (batch === undefined || batch.keys + items.length > MAX_KEYS) {
      const list = [each];
      all.push(list);
      open.set(home, { list, keys: items.length });
    } else {
      batch.list.push(each);
      batch.keys += items.length;
    }
  }
  return all;
}
