/**
 * One process of the race hunt. The origin is a version per key; its owner raises it, then invalidates, and
 * notes when that was acknowledged. Others invalidate the same keys too, with what they know of the origin. All
 * read at random, and note what they were answered.
 */
import type { RedisAdapter } from '@anbar/nestjs-redis';
import { seededRandom } from '../topology/index.js';
import { OPERATIONS, type HuntPlan, type Operation, type Seen } from './orders.js';
import { microseconds, StallMeter } from './stall-meter.js';
import { isTagged, type Answer, type Book, type LoadMode, type Subject } from './subject.js';

interface Hunter {
  readonly subject: Subject;
  readonly origin: RedisAdapter;
  readonly plan: HuntPlan;
  /** Of this run alone. */
  readonly name: string;
  readonly tell: (seen: Seen) => void;
}

/** What an invalidation reaches, and what was in the origin before it. */
type Reach = ReadonlyMap<number, number>;

const READERS = 6;
const SLOWEST_LOAD_MS = 12;
const MISS = -1;
/** Each process has one hot key for so long; then the key is left alone, and what went wrong lies there to be seen. */
const HOT_US = 100_000;
const HOT_SHARE = 0.75;
/** So many invalidations are followed by another of the same key at once: races need company. */
const BURSTS = 0.5;
/** Those who do not own a key are so much slower to invalidate it. */
const VISITOR_PAUSES = 4;
const TELL_EVERY_MS = 50;

const LOAD_MODES: readonly (readonly [LoadMode, Operation, number])[] = [
  ['late-tags', 'getOrSet, late tags', 0.1],
  ['stale', 'getOrSet, stale allowed', 0.1],
  ['failing', 'getOrSet, failing', 0.03],
  ['given-up', 'getOrSet, given up', 0.03],
  ['not-stored', 'getOrSet, not stored', 0.03],
];

export class Hunt {
  readonly #hunter: Hunter;
  readonly #meter = new StallMeter();
  readonly #every: readonly number[];
  #reads: number[] = [];
  #acknowledged: number[] = [];
  #operations = 0;
  #errors = 0;
  #wrong = 0;
  #errorTexts = new Set<string>();
  #enough = false;

  constructor(hunter: Hunter) {
    this.#hunter = hunter;
    this.#every = Array.from({ length: hunter.plan.keys }, (_, key) => key);
  }

  stop(): void {
    this.#enough = true;
  }

  /** Settles when it was stopped and all that was under way has ended. */
  async run(): Promise<void> {
    const telling = setInterval(() => this.#tell(microseconds()), TELL_EVERY_MS);
    const readers = Array.from({ length: READERS }, (_, i) => this.#read(i));
    await Promise.all([this.#own(), this.#visit(), ...readers]);
    clearInterval(telling);
    this.#tell(Infinity);
    this.#meter.stop();
  }

  #tell(through: number): void {
    this.#hunter.tell({
      kind: 'seen',
      through,
      operations: this.#operations,
      errors: this.#errors,
      wrong: this.#wrong,
      errorTexts: [...this.#errorTexts],
      reads: Float64Array.from(this.#reads),
      acknowledged: Float64Array.from(this.#acknowledged),
      stalls: Float64Array.from(this.#meter.take()),
    });
    [this.#reads, this.#acknowledged] = [[], []];
    [this.#operations, this.#errors, this.#wrong] = [0, 0, 0];
    this.#errorTexts = new Set();
  }

  // -- writing ----------------------------------------------------------------------------------------------

  async #own(): Promise<void> {
    const { plan } = this.#hunter;
    const random = seededRandom(plan.seed * 31 + plan.index);
    const own = this.#every.filter((key) => key % plan.processes === plan.index);
    let again: number | undefined;
    while (!this.#enough) {
      const any = own[Math.floor(random() * own.length)] ?? 0;
      const key = again ?? (random() < HOT_SHARE ? hotKey(plan, plan.index) : any);
      again = random() < BURSTS ? key : undefined;
      const choice = random();
      await this.#noting(async () => {
        const version = await this.#hunter.origin.incr(this.#originKey(key), 1, { ttl: '1h' });
        if (choice < 0.45) {
          const set = (): Promise<unknown> => this.#hunter.subject.set(key, { key, version });
          await this.#invalidate('set', new Map([[key, version]]), set);
        } else await this.#invalidateAny(key, version, random);
      });
      if (again === undefined) await pause(random() * plan.pauseMs);
    }
  }

  /** Invalidates what belongs to others. */
  async #visit(): Promise<void> {
    const { plan } = this.#hunter;
    const random = seededRandom(plan.seed * 37 + plan.index);
    while (!this.#enough) {
      const any = Math.floor(random() * plan.keys);
      const key = random() < HOT_SHARE ? hotKey(plan, any % plan.processes) : any;
      await this.#noting(async () => this.#invalidateAny(key, (await this.#versions([key]))[0] ?? 0, random));
      await pause(random() * plan.pauseMs * VISITOR_PAUSES);
    }
  }

  /** By any call but `set`, which only the owner may use: two who set would race for their own reasons. */
  async #invalidateAny(key: number, version: number, random: () => number): Promise<void> {
    const { subject, plan } = this.#hunter;
    const choice = random();
    const one = new Map([[key, version]]);
    const reaching = async (keys: readonly number[]): Promise<Reach> => {
      const others = keys.filter((each) => each !== key);
      const versions = await this.#versions(others);
      return new Map([...one, ...others.map((each, i) => [each, versions[i] ?? 0] as const)]);
    };
    if (choice < 0.005) {
      await this.#invalidate('flush', await reaching(this.#every), () => subject.flush());
    } else if (choice < 0.01) {
      await this.#invalidate('deletePrefix', await reaching(this.#every), () => subject.removeBelow());
    } else if (choice < 0.06) {
      await this.#invalidate('deletePrefix', one, () => subject.removeBelow(key));
    } else if (choice < 0.12) {
      const several = await reaching([key, (key + 1) % plan.keys, (key + 5) % plan.keys]);
      await this.#invalidate('deleteMany', several, () => subject.remove([...several.keys()]));
    } else if (choice < 0.15 && isTagged(key)) {
      const shelf = await reaching(this.#every.filter(isTagged));
      await this.#invalidate('invalidateTags', shelf, () => subject.invalidateTagged());
    } else if (choice < 0.75 && isTagged(key)) {
      await this.#invalidate('invalidateTags', one, () => subject.invalidateTagged(key));
    } else await this.#invalidate('delete', one, () => subject.remove([key]));
  }

  async #invalidate(operation: Operation, reach: Reach, call: () => Promise<unknown>): Promise<void> {
    await this.#naming(operation, call);
    const at = microseconds();
    const code = OPERATIONS.indexOf(operation);
    for (const [key, version] of reach) this.#acknowledged.push(key, at, version, code);
    this.#operations += 1;
  }

  // -- reading ----------------------------------------------------------------------------------------------

  async #read(worker: number): Promise<void> {
    const { plan, subject } = this.#hunter;
    const random = seededRandom(plan.seed * 1_009 + plan.index * 101 + worker);
    while (!this.#enough) {
      const any = Math.floor(random() * plan.keys);
      const key = random() < HOT_SHARE ? hotKey(plan, any % plan.processes) : any;
      const choice = random();
      await this.#noting(async () => {
        if (choice < 0.04) {
          await this.#asking('getMany', this.#every, () => subject.getMany(this.#every));
        } else if (choice < 0.5) {
          await this.#asking('get', [key], async () => [await subject.get(key)]);
        } else if (choice < 0.88) await this.#askLoading(key, random);
        else if (choice < 0.89 && plan.extras) {
          await subject.expire(key);
          this.#operations += 1;
        } else {
          // Loaded without tags, so only by those who never have any.
          const several = [key, (key + 2) % plan.keys]
            .map((each) => each | 1)
            .filter((each) => each < plan.keys);
          const load = { mode: 'plain', run: (of: number) => this.#load(of, random) } as const;
          await this.#asking('getOrSetMany', several, () => subject.getOrSetMany(several, load));
        }
      });
      if (random() < 0.2) await pause(random() * 3);
    }
  }

  async #askLoading(key: number, random: () => number): Promise<void> {
    const [mode, operation] = this.#modeOf(random());
    const run = async (of: number): Promise<Book> => {
      const book = await this.#load(of, random);
      if (mode === 'failing') throw new OriginDown('the origin is down');
      return book;
    };
    const asked = async (): Promise<readonly Answer[]> => [
      await this.#hunter.subject.getOrSet(key, { mode, run }),
    ];
    await this.#asking(operation, [key], asked);
  }

  #modeOf(choice: number): readonly [LoadMode, Operation] {
    let left = this.#hunter.plan.extras ? choice : 1;
    for (const [mode, operation, share] of LOAD_MODES) {
      left -= share;
      if (left < 0) return [mode, operation];
    }
    return ['plain', 'getOrSet'];
  }

  /** Slow, and most of it after the look at the origin: there is time to be overtaken. */
  async #load(key: number, random: () => number): Promise<Book> {
    if (random() < 0.3) await pause((random() * SLOWEST_LOAD_MS) / 3);
    const [version = 0] = await this.#versions([key]);
    await pause(random() * SLOWEST_LOAD_MS);
    return { key, version };
  }

  async #asking(
    operation: Operation,
    keys: readonly number[],
    ask: () => Promise<readonly Answer[]>,
  ): Promise<void> {
    const startedAt = microseconds();
    const answers = await this.#naming(operation, ask);
    const code = OPERATIONS.indexOf(operation);
    keys.forEach((key, i) => {
      const answer = answers[i];
      if (answer !== undefined && answer.key !== key) this.#wrong += 1;
      this.#reads.push(key, startedAt, answer?.version ?? MISS, code);
    });
    this.#operations += 1;
  }

  // -- both -------------------------------------------------------------------------------------------------

  /** A call that fails has told nothing, neither a value nor that something is done. */
  async #noting(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#operations += 1;
      if (isMeant(error)) return;
      this.#errors += 1;
      this.#errorTexts.add(String(error));
    }
  }

  /** Says of an error what was asked for. */
  async #naming<T>(operation: Operation, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw isMeant(error) ? error : new Error(`${operation}: ${String(error)}`, { cause: error });
    }
  }

  async #versions(keys: readonly number[]): Promise<readonly number[]> {
    if (keys.length === 0) return [];
    const [first] = keys;
    if (keys.length === 1 && first !== undefined) {
      return [Number((await this.#hunter.origin.get(this.#originKey(first))) ?? 0)];
    }
    const versions = await this.#hunter.origin.getMany(keys.map((key) => this.#originKey(key)));
    return versions.map((version) => Number(version ?? 0));
  }

  #originKey(key: number): string {
    return `origin:${this.#hunter.name}:${key}`;
  }
}

class OriginDown extends Error {
  override readonly name = 'OriginDown';
}

/** A failing load, or one given up; told by another process it has the name only. */
function isMeant(error: unknown): boolean {
  return error instanceof Error && (error.name === 'OriginDown' || error.name === 'TimeoutError');
}

/** The same at any moment for all processes. */
function hotKey({ keys, processes }: HuntPlan, writer: number): number {
  const slot = Math.floor(microseconds() / HOT_US) % Math.floor(keys / processes);
  return slot * processes + writer;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
