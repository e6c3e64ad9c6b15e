/** One question to the limiter: limits of one or several subjects, all of them or none. */
import type { Key } from '../connection/index.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';
import type { RateLimitKeys } from './rate-limit.keys.js';
import { resolveLimit, type Limit, type OnStoreError, type ResolvedLimit } from './limit.options.js';
import type { TakeItem } from './take.scripts.js';

export interface RateAsk {
  /** Who is limited: `['ip', address]`, `['user', id]`. */
  readonly subject: Key;
  readonly limits: Limit | readonly Limit[];
  /** @default that of the call, 1 */
  readonly cost?: number | undefined;
}

export interface AskedLimit {
  readonly limit: ResolvedLimit;
  readonly key: string;
  /** Empty without a penalty. */
  readonly mark: string;
  readonly cost: number;
}

/** Limits to be looked at together, and what is needed of them each time they are: made once where it can be kept. */
export class Question {
  readonly limits: readonly AskedLimit[];
  /** Takes places, which have a holder each time. */
  readonly holdsPlaces: boolean;
  /** Its only limit, where tokens of that may be taken ahead. */
  readonly leased: AskedLimit | undefined;
  #print: string | undefined;
  #leasePrint: string | undefined;
  #items: readonly TakeItem[] | undefined;

  constructor(limits: readonly AskedLimit[]) {
    this.limits = limits;
    this.holdsPlaces = limits.some(({ limit, cost }) => limit.code === 'c' && cost > 0);
    const [first] = limits;
    this.leased = limits.length === 1 && first !== undefined && first.limit.lease > 0 ? first : undefined;
  }

  /** Two questions with the same print are the same. */
  get print(): string {
    if (this.#print !== undefined) return this.#print;
    let print = '';
    for (const { key, limit, cost } of this.limits) print += `${key}|${limit.print}|${cost}\n`;
    this.#print = print;
    return print;
  }

  /** The same for all costs: by this tokens that were taken ahead are found. */
  get leasePrint(): string {
    if (this.#leasePrint !== undefined) return this.#leasePrint;
    this.#leasePrint = this.leased === undefined ? '' : `${this.leased.key}|${this.leased.limit.print}`;
    return this.#leasePrint;
  }

  /** What the script does with each; without holders. */
  get items(): readonly TakeItem[] {
    this.#items ??= itemsOf(this.limits);
    return this.#items;
  }
}

const LARGEST_COST = 1_000_000_000;

export class Questions {
  readonly #keys: RateLimitKeys;
  readonly #policy: OnStoreError;
  /** Rules are mostly written once and used for ever; one that was changed since is read anew. */
  readonly #resolved = new WeakMap<Limit, { readonly copy: Limit; readonly limit: ResolvedLimit }>();

  constructor(keys: RateLimitKeys, policy: OnStoreError) {
    this.#keys = keys;
    this.#policy = policy;
  }

  of(asks: readonly RateAsk[], defaultCost = 1): Question {
    const limits: AskedLimit[] = [];
    for (const { subject, limits: given, cost = defaultCost } of asks) {
      assertCost(cost);
      const name = this.#keys.subject(subject);
      if (Array.isArray(given))
        for (const each of given as readonly Limit[]) this.#add(limits, each, name, cost);
      else this.#add(limits, given as Limit, name, cost);
    }
    if (limits.length === 0) throw new InvalidRateLimitError('there is no limit to look at');
    return new Question(limits);
  }

  #add(limits: AskedLimit[], given: Limit, subject: string, cost: number): void {
    const limit = this.resolve(given);
    const key = this.#keys.limit(subject, limit);
    if (limits.some((other) => other.key === key)) throw twice(limit.name);
    const mark = limit.penaltyMs > 0 ? this.#keys.penalty(subject, limit) : '';
    limits.push({ limit, key, mark, cost });
  }

  resolve(given: Limit): ResolvedLimit {
    const known = this.#resolved.get(given);
    if (known !== undefined && isSame(known.copy, given)) return known.limit;
    const limit = resolveLimit(given, this.#policy);
    this.#resolved.set(given, { copy: { ...given }, limit });
    return limit;
  }
}

/** Parts of the wire form: the keys of a question, and what the script does with each. */
export function keysOf(limits: readonly AskedLimit[]): string[] {
  const keys: string[] = [];
  pushKeys(keys, limits);
  return keys;
}

export function pushKeys(keys: string[], limits: readonly AskedLimit[]): void {
  for (const { key, mark } of limits) {
    keys.push(key);
    if (mark !== '') keys.push(mark);
  }
}

export function itemsOf(
  limits: readonly AskedLimit[],
  { want = 0, holder = '' }: { want?: number | undefined; holder?: string | undefined } = {},
): TakeItem[] {
  const end = limits.length - 1;
  return limits.map(({ limit, cost }, i) => ({
    terms: limit,
    cost,
    want,
    // Who only looks holds nothing.
    holder: cost === 0 ? '' : holder,
    last: i === end,
  }));
}

function isSame(copy: Limit, given: Limit): boolean {
  return (
    copy.limit === given.limit &&
    copy.window === given.window &&
    copy.name === given.name &&
    copy.burst === given.burst &&
    copy.algorithm === given.algorithm &&
    copy.shadow === given.shadow &&
    copy.penalty === given.penalty &&
    copy.onStoreError === given.onStoreError &&
    copy.lease === given.lease &&
    copy.hold === given.hold
  );
}

function assertCost(cost: number): void {
  if (Number.isInteger(cost) && cost >= 0 && cost <= LARGEST_COST) return;
  throw new InvalidRateLimitError(`cost: ${String(cost)} is not a whole number from 0 to ${LARGEST_COST}`, {
    hint: 'to give back what was taken there is refund()',
  });
}

function twice(name: string): InvalidRateLimitError {
  return new InvalidRateLimitError(`limit '${name}': it is there twice for one subject`, {
    hint: 'give each limit of a subject a name of its own',
  });
}
