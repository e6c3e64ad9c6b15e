/**
 * One logical call on its way: it may be sent several times, and it settles exactly once. A plain object
 * with an owner instead of closures and promise chains, because this is the hot path.
 */
import type { Failure } from './failure.js';
import type { Arg, Reply } from './reply.js';

export interface RequestOwner {
  replied(request: Request, reply: Reply): void;
  failed(request: Request, failure: Failure): void;
}

/** What carries an attempt: it holds the permit of a breaker that has to be given back once. */
export interface Carrier {
  readonly node: string;
  /** Gives the permit back: the attempt spoke for the node, against it, or says nothing about it. */
  conclude(request: Request, outcome: 'success' | 'failure' | 'ignored'): void;
  /** The error for a request it has refused because of its breaker. */
  refusal(request: Request): Error;
  /** The request ran out of time; it may have been the node's silence. */
  noteTimeout(request: Request): void;
}

/** The two ends of the promise the caller holds. */
export interface Settle {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class Request {
  readonly owner: RequestOwner;
  /** In upper case. */
  readonly name: string;
  readonly args: readonly Arg[];
  readonly settle: Settle;

  /** The name of the script it runs, if it does. */
  script: string | undefined = undefined;
  bytes = false;
  readOnly = false;
  idempotent = false;
  /** A key of another type counts as absent, so a merged read needs no second look at its nils. */
  anyType = false;
  startedAt = 0;
  /** When it was answered; 0 when nobody has looked at the clock for that. */
  answeredAt = 0;
  /** What it was rejected with. */
  error: Error | undefined = undefined;
  deadlineAt = 0;

  settled = false;
  attempt = 1;
  redirects = 0;
  /** Slot in a cluster; -1 elsewhere and for commands without a key. */
  slot = -1;
  /** The next attempt has to be announced with `ASKING`. */
  asking = false;
  /** Where the present attempt went, and under which permit of its breaker. */
  carrier: Carrier | undefined = undefined;
  permit = -1;
  /** When the present attempt was written; -1 while it was not. */
  sentAt = -1;
  /** Why the attempt before this one failed. */
  failure: Failure | undefined = undefined;
  /** Some attempt was written whose outcome is not known. */
  uncertain = false;
  /** The node a `MOVED` or `ASK` named, as `host:port`. */
  target: string | undefined = undefined;
  detach: (() => void) | undefined = undefined;

  // Place in the list of the deadline keeper.
  previous: Request | undefined = undefined;
  next: Request | undefined = undefined;

  constructor(owner: RequestOwner, name: string, args: readonly Arg[], settle: Settle) {
    this.owner = owner;
    this.name = name;
    this.args = args;
    this.settle = settle;
  }

  /**
   * The present attempt had at least half of the call's time on the wire. One sent with little time left, after
   * waiting for a connection or as a retry, says nothing about the server by running out of it.
   */
  get hadFairTime(): boolean {
    return this.sentAt !== -1 && (this.deadlineAt - this.sentAt) * 2 >= this.deadlineAt - this.startedAt;
  }
}
