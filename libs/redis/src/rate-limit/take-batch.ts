/**
 * Questions of one turn of the event loop leave as one script call: they come from different sockets, whose
 * answers the loop reads one after the other, so they are gathered until the end of the turn. While a call is under
 * way the next ones gather until it is answered, at most for a millisecond: the busier the process, the more of them
 * share a call, and one that comes alone waits for nobody. In a cluster only those of one slot can go together, so
 * there nothing waits; the client writes them at once too, call by call.
 */
import { keySlot, type CallOptions, type RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { itemsOf, keysOf, pushKeys, type AskedLimit } from './ask.js';
import { gcraScript, gcraState, isPlain } from './gcra.scripts.js';
import { takeScript, type TakeArgs, type TakeItem, type TakeState } from './take.scripts.js';

export interface TakeCall {
  readonly limits: readonly AskedLimit[];
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

/** For the answer of the call before; a server further away than that is asked meanwhile. */
const LONGEST_GATHERING_MS = 1;

export class TakeBatch {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #options: CallOptions;
  readonly #bySlot: boolean;
  #waiting: Waiting[] = [];
  #keysWaiting = 0;
  #underWay = 0;
  #gathering: Timer | undefined;

  constructor(client: RedisClient, clock: Clock, options: CallOptions = {}) {
    this.#client = client;
    this.#clock = clock;
    this.#options = options;
    this.#bySlot = client.topology === 'cluster';
  }

  take(call: TakeCall): Promise<readonly TakeState[]> {
    const items = itemsOf(call.limits, call);
    const way = call.mode === 'consume' && items.every(isPlain) ? 'plain' : call.mode;
    // What runs inside the process has no trip to share.
    if (this.#client.topology === 'embedded') return this.#run(way, keysOf(call.limits), items);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, items, way, resolve, reject });
      this.#keysWaiting += items.length;
      if (this.#waiting.length === 1) this.#gather();
      // A full one has nothing to wait for.
      else if (this.#gathering !== undefined && this.#keysWaiting >= MAX_KEYS) this.#flush();
    });
  }

  #gather(): void {
    if (this.#bySlot || this.#underWay === 0) this.#clock.turn(this.#flush);
    else this.#gathering = this.#clock.after(LONGEST_GATHERING_MS, this.#flush);
  }

  readonly #flush = (): void => {
    this.#stopGathering();
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#keysWaiting = 0;
    for (const batch of batchesOf(waiting, this.#bySlot)) void this.#send(batch);
  };

  /** What gathered meanwhile leaves with whatever else arrives in this turn. */
  #answered(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0 || this.#gathering === undefined) return;
    this.#stopGathering();
    this.#clock.turn(this.#flush);
  }

  #stopGathering(): void {
    this.#gathering?.cancel();
    this.#gathering = undefined;
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const keys: string[] = [];
    const items: TakeItem[] = [];
    for (const { call, items: its } of batch) {
      pushKeys(keys, call.limits);
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
      this.#answered();
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
    const home = bySlot ? `${way}${keySlot(call.limits[0]?.key ?? '')}` : way;
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
