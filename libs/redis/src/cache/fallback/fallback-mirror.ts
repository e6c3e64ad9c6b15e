/**
 * Keeps the standby warm: what reads and writes see of Redis is copied there as it lies in Redis, byte by byte, so
 * it is judged by the same clocks and lives as long. It costs no round trip, and nothing is encoded again.
 *
 * What this process replaces or removes leaves the standby before the change is sent; a counter or a field stays as it
 * was until Redis has changed it. A copy is taken only of what was read while nobody here changed the key: a change that
 * left first may be done last, on another connection or because it had to be sent again. So no answer, however late,
 * brings back what an acknowledged change has made old.
 *
 * It hears of changes only while Redis is in charge. Those that Redis has done after that, `FallbackCache` repeats in
 * the standby.
 */
import type { Codec } from '../../codec/index.js';
import { incrementScript, type RedisClient, type Reply, type Script } from '../../connection/index.js';
import type { Clock } from '../../core/index.js';
import {
  hashPutScript,
  putScript,
  raiseScript,
  registerScript,
  removeScript,
  swapScript,
  tickScript,
  type PutArgs,
  type RaiseArgs,
  type SwapArgs,
} from '../cache.scripts.js';
import { EpochTable } from '../l1/l1-epochs.js';
import { fillScript } from '../loading/lease.scripts.js';
import { KeysUnderWay } from './fallback-keys-under-way.js';

export interface MirrorParts {
  readonly standby: RedisClient;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly prefixes: { readonly values: string; readonly clocks: string };
  /** The namespace's clock. */
  readonly clockKey: string;
}

interface HashArgs {
  readonly fields: readonly (string | Buffer)[];
  readonly ttlMs: number;
}

/** How long a copy stays whose expiry Redis did not tell: counters and fields of hashes. */
const UNTOLD_MS = 60_000;
/** What never expires has to be able to make room here. */
const LONGEST_MS = 86_400_000;
/** A copy that was just taken is not taken again, unless what Redis says has changed; after that time it is. */
const FRESH_MS = 5_000;
const MOST_FRESH = 20_000;
/** The end of an envelope is its checksum, or part of its seal: another value has another one. */
const SIGNATURE_BYTES = 6;

interface Copied {
  readonly signature: number;
  /** Monotonic. */
  readonly at: number;
}

/** What was sent: a script, or the name of a command. */
type What = unknown;

const REPLACEMENTS: ReadonlySet<What> = new Set([putScript, swapScript, removeScript]);
const CHANGES_IN_PLACE: ReadonlySet<What> = new Set([
  hashPutScript,
  incrementScript,
  'INCRBY',
  'PEXPIRE',
  'PERSIST',
]);
const INTEGER = /^-?\d{1,16}$/u;
const LONGEST_INTEGER = 17;

export class StandbyMirror {
  readonly #parts: MirrorParts;
  /** Of all changes: what was read before one of them is not kept. */
  readonly #epochs = new EpochTable();
  /** Of those that replace or remove: what was counted or put into a hash before one of them is not kept. */
  readonly #removals = new EpochTable();
  readonly #underWay = new KeysUnderWay();
  readonly #copied = new Map<string, Copied>();
  #active = true;
  #highest = 0;

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  /** From here on answers of Redis say nothing about what the standby holds, those under way included. */
  pause(): void {
    this.#active = false;
    this.#forgetQuestions();
    // Invalidations in the standby have to be later than everything that was copied.
    if (this.#highest > 0) this.#run(raiseScript, this.#parts.clockKey, { clock: this.#highest, ttlMs: 0 });
  }

  resume(): void {
    this.#forgetQuestions();
    this.#active = true;
  }

  /** To be called before a question or a change leaves; what it gives belongs to the outcome. */
  before(script: What, key: string, args: unknown): number {
    if (!this.#active) return -1;
    if (CHANGES_IN_PLACE.has(script)) return this.#beforeChangeInPlace(key);
    if (REPLACEMENTS.has(script)) return this.#beforeReplacement(key);
    if (script === raiseScript) this.#raise(key, args as RaiseArgs);
    return this.#beforeQuestion(key);
  }

  beforeCommand(name: string, key: string): number {
    if (!this.#active) return -1;
    return CHANGES_IN_PLACE.has(name) ? this.#beforeChangeInPlace(key) : this.#beforeQuestion(key);
  }

  /** The change was made. */
  after(script: What, key: string, call: { args: unknown; result: unknown; since: number }): void {
    const { args, result, since } = call;
    this.ended(script, key, since);
    if (script === tickScript) this.#observe(Number(result));
    else if (script === registerScript) this.#raise(key, { ...(args as RaiseArgs), clock: Number(result) });
    else if (CHANGES_IN_PLACE.has(script)) this.#afterChangeInPlace(script, key, call);
    else if (!this.#holds(this.#epochs, key, since)) return;
    else if (script === putScript) this.#keep(key, (args as PutArgs).bytes);
    else if (script === fillScript && result === true) this.#keep(key, (args as PutArgs).bytes);
    else if (script === swapScript && result === true) this.#keep(key, (args as SwapArgs).bytes);
  }

  afterCommand(name: string, args: readonly unknown[], call: { reply: Reply; since: number }): void {
    const key = String(args[0]);
    const { reply, since } = call;
    this.ended(name, key, since);
    if (name === 'GET' && key.startsWith(this.#parts.prefixes.clocks)) {
      const clock = Number(String(reply));
      if (reply !== null && this.#isNew(key, clock)) this.#raise(key, { clock, ttlMs: LONGEST_MS });
      return;
    }
    if (!key.startsWith(this.#parts.prefixes.values)) return;
    if (CHANGES_IN_PLACE.has(name)) this.#afterChangeInPlace(name, key, { args, result: reply, since });
    else if (!this.#holds(this.#epochs, key, since)) return;
    else if (name === 'GET') this.#keepAnswer(key, reply);
    else if (name === 'HGET') this.#keepField(key, String(args[1]), reply);
  }

  /** The outcome of what was sent is known, or will never be. */
  ended(what: What, key: string, since: number): void {
    if (since >= 0 && (REPLACEMENTS.has(what) || CHANGES_IN_PLACE.has(what))) this.#underWay.leave(key);
  }

  /** While its key is being changed, the answer may be what was there before, and come after the change. */
  #beforeQuestion(key: string): number {
    return this.#underWay.has(key) ? -1 : this.#epochs.now();
  }

  #beforeReplacement(key: string): number {
    this.#underWay.enter(key);
    this.#epochs.invalidate(key);
    this.#removals.invalidate(key);
    this.#drop(key);
    return this.#epochs.now();
  }

  /** Several may be under way; each of them is kept, unless the key was replaced or removed meanwhile. */
  #beforeChangeInPlace(key: string): number {
    this.#underWay.enter(key);
    this.#epochs.invalidate(key);
    return this.#removals.now();
  }

  #afterChangeInPlace(
    what: What,
    key: string,
    { args, result, since }: { args: unknown; result: unknown; since: number },
  ): void {
    if (!this.#active || since < 0) return;
    // It may have been a neighbour in the table that was removed: then this still is as it was before the change.
    if (!this.#removals.unchangedSince(since, key)) this.#drop(key);
    else if (what === hashPutScript) this.#keepFields(key, args as HashArgs);
    else if (what === 'PEXPIRE') this.#send('PEXPIRE', [key, Number((args as readonly unknown[])[1])]);
    else if (what === 'PERSIST') this.#send('PEXPIRE', [key, LONGEST_MS]);
    else this.#keepCounter(key, String(Number(result)));
  }

  #holds(table: EpochTable, key: string, since: number): boolean {
    return this.#active && since >= 0 && table.unchangedSince(since, key);
  }

  #forgetQuestions(): void {
    this.#copied.clear();
    this.#epochs.invalidateAll();
    this.#removals.invalidateAll();
  }

  #drop(key: string): void {
    this.#copied.delete(key);
    this.#send('UNLINK', [key]);
  }

  #keepAnswer(key: string, reply: Reply): void {
    // A hash reads as absent, too, and is left alone: GETDEL refuses it.
    if (Buffer.isBuffer(reply)) this.#keep(key, reply);
    else if (reply === null) {
      this.#copied.delete(key);
      this.#send('GETDEL', [key]);
    }
  }

  /** Whether it has to be copied; then it counts as copied. */
  #isNew(key: string, signature: number): boolean {
    const now = this.#parts.clock.now();
    const known = this.#copied.get(key);
    if (known !== undefined && known.signature === signature && now - known.at < FRESH_MS) return false;
    if (this.#copied.size >= MOST_FRESH) this.#copied.clear();
    this.#copied.set(key, { signature, at: now });
    return true;
  }

  #keep(key: string, bytes: Buffer): void {
    if (bytes.length < SIGNATURE_BYTES || this.#isNew(key, signatureOf(bytes))) this.#copy(key, bytes);
  }

  #copy(key: string, bytes: Buffer): void {
    const peeked = this.#parts.codec.peek(bytes);
    if (!peeked.ok) {
      const text = bytes.length > LONGEST_INTEGER ? '' : bytes.toString('latin1');
      if (INTEGER.test(text)) this.#keepCounter(key, text);
      return;
    }
    const { expiresAt, clock } = peeked.header;
    const leftMs = expiresAt === undefined ? LONGEST_MS : expiresAt - this.#parts.clock.wallNow();
    if (leftMs < 1) return;
    this.#observe(clock);
    this.#send('SET', [key, bytes, 'PX', Math.ceil(Math.min(leftMs, LONGEST_MS))]);
  }

  #keepCounter(key: string, text: string): void {
    this.#copied.delete(key);
    this.#send('SET', [key, text, 'PX', UNTOLD_MS]);
  }

  #keepFields(key: string, { fields, ttlMs }: HashArgs): void {
    const capped = ttlMs === 0 ? LONGEST_MS : Math.min(ttlMs, LONGEST_MS);
    this.#run(hashPutScript, key, { fields, ttlMs: capped });
  }

  #keepField(key: string, field: string, reply: Reply): void {
    if (Buffer.isBuffer(reply)) this.#keepFields(key, { fields: [field, reply], ttlMs: UNTOLD_MS });
    else this.#send('HDEL', [key, field]);
  }

  #raise(key: string, { clock, ttlMs }: RaiseArgs): void {
    if (!this.#active || !Number.isSafeInteger(clock)) return;
    this.#observe(clock);
    this.#run(raiseScript, key, { clock, ttlMs: ttlMs === 0 ? 0 : Math.max(ttlMs, LONGEST_MS) });
  }

  #observe(clock: number): void {
    if (Number.isSafeInteger(clock) && clock > this.#highest) this.#highest = clock;
  }

  /** There may be no room, or a value of another kind: then there is no copy. */
  #send(name: string, args: readonly (string | number | Buffer)[]): void {
    this.#parts.standby.command(name, args).catch(() => undefined);
  }

  #run<Args, Result>(script: Script<readonly [key: string], Args, Result>, key: string, args: Args): void {
    this.#parts.standby.run(script, [key], args).catch(() => undefined);
  }
}

function signatureOf(bytes: Buffer): number {
  return bytes.readUIntBE(bytes.length - SIGNATURE_BYTES, SIGNATURE_BYTES);
}
