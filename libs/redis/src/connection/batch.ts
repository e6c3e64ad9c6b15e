/**
 * What leaves in one write, and what has come back of it.
 *
 * Replies carry no name: the n-th answer belongs to the n-th question, and if one got lost on the way, all
 * that follow would be handed to the wrong caller. So nothing is handed out before its place is proven:
 * by a numbered echo at the end of the write, or by being the only question on the wire.
 */
import { safeMessage } from '../core/index.js';
import { failureOfReply, replyMismatch, type Failure } from './failure.js';
import type { RawReply, Reply } from './reply.js';
import type { Request } from './request.js';
import { ASKING_PLACE, ECHO_PLACE, type Answerer } from './wire-command.js';

export type Proof =
  /** Ends with an echo. */
  | 'echo'
  /** Nothing else was on the wire when it was written. */
  | 'alone'
  /** Integrity is off. */
  | 'none';

const NOBODY: readonly Request[] = [];

/** Keys in one merged read: enough to matter, few enough not to hold the server up. */
const MAX_MERGED_KEYS = 256;

/**
 * Refuses a merged read for what only some of its keys are: on their way with their slot, where each by itself is
 * answered or sent after it, or forbidden to this user, who may as well be forbidden to merge at all.
 */
const SAID_OF_SOME = /^(?:TRYAGAIN|NOPERM)/u;

/** One command as written: it answers for one request, or as a merged read for several. */
export class Entry {
  readonly requests: readonly Request[];
  readonly merged: boolean;
  readonly args: Request['args'];
  /** Where the answer to each request stands, when several ask for the same. */
  readonly #places: readonly number[] | undefined;
  #value: RawReply = undefined;
  #failure: Failure | undefined;

  constructor(requests: readonly Request[], merged: boolean) {
    this.requests = requests;
    this.merged = merged;
    if (!merged) {
      this.args = requests[0]?.args ?? [];
      return;
    }
    const places = new Map<Request['args'][number], number>();
    for (const { args } of requests) {
      const key = args[0] ?? '';
      if (!places.has(key)) places.set(key, places.size);
    }
    this.args = [...places.keys()];
    if (places.size < requests.length) {
      this.#places = requests.map(({ args }) => places.get(args[0] ?? '') ?? 0);
    }
  }

  get name(): string {
    return this.merged ? 'MGET' : (this.requests[0]?.name ?? '');
  }

  get asking(): boolean {
    return this.requests[0]?.asking === true;
  }

  answer(value: RawReply): void {
    this.#value = value;
  }

  refuse(message: string): void {
    this.#failure = failureOfReply(message);
  }

  /** Hands the answer to whoever asked; returns those who have to be asked again on their own. */
  deliver(): readonly Request[] {
    if (this.#failure !== undefined) {
      if (this.merged && SAID_OF_SOME.test(this.#failure.message)) return this.#unsettled();
      for (const request of this.requests) fail(request, this.#failure);
      return NOBODY;
    }
    if (this.merged) return this.#deliverMerged();
    const [request] = this.requests;
    if (request?.settled === false) request.owner.replied(request, toReply(this.#value, request.bytes));
    return NOBODY;
  }

  #unsettled(): readonly Request[] {
    return this.requests.filter(({ settled }) => !settled);
  }

  /**
   * `MGET` says nil where `GET` would say WRONGTYPE. Whoever cares is asked again on its own, so that merging
   * can not be seen from outside.
   */
  #deliverMerged(): readonly Request[] {
    const values = this.#value;
    if (!Array.isArray(values) || values.length !== this.args.length) {
      const failure = replyMismatch('a merged read answered with the wrong number of values');
      for (const request of this.requests) fail(request, failure);
      return NOBODY;
    }
    let unclear: Request[] | undefined;
    const places = this.#places;
    for (let i = 0; i < this.requests.length; i += 1) {
      const request = this.requests[i];
      if (request === undefined || request.settled) continue;
      const value = values[places?.[i] ?? i];
      if (value === null && !request.anyType) (unclear ??= []).push(request);
      // Whoever is handed bytes may change them.
      else if (places !== undefined && request.bytes && Buffer.isBuffer(value))
        request.owner.replied(request, Buffer.from(value));
      else request.owner.replied(request, toReply(value, request.bytes));
    }
    return unclear ?? NOBODY;
  }
}

export interface BatchOwner {
  /** Every entry has its answer; for a batch with an echo, the echo is still to come. */
  onComplete(batch: Batch): void;
  onEcho(batch: Batch, reply: RawReply): void;
  /** An answer stands where it can not belong. */
  onMismatch(): void;
  isEcho(reply: RawReply): boolean;
}

export class Batch implements Answerer {
  readonly entries: readonly Entry[];
  readonly proof: Proof;
  /** Requests in it, which is not the number of entries where reads were merged. */
  readonly size: number;
  /** The number in its echo. */
  sequence = 0;
  /** Why the driver did not write it. */
  refusal: string | undefined = undefined;
  /** The batch written after it, as long as both are under way. */
  next: Batch | undefined = undefined;
  readonly #owner: BatchOwner;
  #left: number;

  constructor(entries: readonly Entry[], proof: Proof, owner: BatchOwner) {
    this.entries = entries;
    this.proof = proof;
    this.#owner = owner;
    this.#left = entries.length;
    let size = 0;
    for (const entry of entries) size += entry.requests.length;
    this.size = size;
  }

  get complete(): boolean {
    return this.#left === 0;
  }

  answered(place: number, reply: RawReply): void {
    if (place === ASKING_PLACE) return;
    if (place === ECHO_PLACE) {
      this.#owner.onEcho(this, reply);
      return;
    }
    // An echo in the place of an answer: a reply before it got lost.
    if (this.#owner.isEcho(reply)) {
      this.#owner.onMismatch();
      return;
    }
    this.entries[place]?.answer(reply);
    this.#countDown();
  }

  refused(place: number, message: string): void {
    if (place === ASKING_PLACE) return;
    if (place === ECHO_PLACE) {
      this.#owner.onMismatch();
      return;
    }
    this.entries[place]?.refuse(message);
    this.#countDown();
  }

  unwritten(reason: string): void {
    this.refusal ??= safeMessage(reason);
  }

  /** Hands the answers out; returns the requests that have to be asked again on their own. */
  deliver(): readonly Request[] {
    let unclear: Request[] | undefined;
    for (const entry of this.entries) {
      const again = entry.deliver();
      if (again.length > 0) (unclear ??= []).push(...again);
    }
    return unclear ?? NOBODY;
  }

  fail(failure: Failure): void {
    for (const entry of this.entries) for (const request of entry.requests) fail(request, failure);
  }

  #countDown(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#owner.onComplete(this);
  }
}

/**
 * The commands to write for these requests: `GET`s become one `MGET` where that is allowed. A read does not
 * move past a write, or it would tell of what was written after it.
 */
export function planEntries(requests: readonly Request[], coalesce: boolean): readonly Entry[] {
  const [first] = requests;
  if (requests.length === 1 && first !== undefined) return [new Entry([first], false)];
  const entries: Entry[] = [];
  let reads: Request[] = [];
  for (const request of requests) {
    if (coalesce && request.name === 'GET' && !request.asking) {
      reads.push(request);
      continue;
    }
    if (!request.readOnly && reads.length > 0) {
      // A nil may have to be asked about once more, which would be after the write: such a read goes alone.
      entries.push(...reads.filter(({ anyType }) => !anyType).map((read) => new Entry([read], false)));
      mergeInto(
        entries,
        reads.filter(({ anyType }) => anyType),
      );
      reads = [];
    }
    entries.push(new Entry([request], false));
  }
  mergeInto(entries, reads);
  return entries;
}

function mergeInto(entries: Entry[], reads: readonly Request[]): void {
  for (const group of groupBySlot(reads)) {
    for (let at = 0; at < group.length; at += MAX_MERGED_KEYS) {
      const part = group.slice(at, at + MAX_MERGED_KEYS);
      entries.push(new Entry(part, part.length > 1));
    }
  }
}

/** A cluster takes a merged read only within one slot; elsewhere all share slot -1. */
function groupBySlot(requests: readonly Request[]): Iterable<readonly Request[]> {
  const [first] = requests;
  if (first === undefined) return [];
  if (first.slot === -1) return [requests];
  const groups = new Map<number, Request[]>();
  for (const request of requests) {
    const group = groups.get(request.slot);
    if (group === undefined) groups.set(request.slot, [request]);
    else group.push(request);
  }
  return groups.values();
}

function fail(request: Request, failure: Failure): void {
  if (!request.settled) request.owner.failed(request, failure);
}

function toReply(raw: RawReply, bytes: boolean): Reply {
  if (Buffer.isBuffer(raw)) return bytes ? raw : raw.toString('utf8');
  if (Array.isArray(raw)) return raw.map((item) => toReply(item, bytes));
  if (raw === null || raw === undefined) return null;
  if (typeof raw === 'boolean') return raw ? 1 : 0;
  // An error inside an array, as scripts may return them, is a value like the others.
  if (raw instanceof Error) return raw.message;
  return typeof raw === 'bigint' ? raw.toString() : raw;
}
