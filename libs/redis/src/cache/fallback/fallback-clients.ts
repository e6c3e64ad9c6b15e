/**
 * The two clients a cache with a fallback stands on. The watched one is Redis: it tells the mirror what passes, and
 * the switch what fails. The guarded one is the standby: it takes changes only while it is in charge, and knows which
 * keys were changed by them.
 */
import {
  incrementScript,
  NotConnectedError,
  PassingClient,
  type Arg,
  type CallOptions,
  type PipelineCommand,
  type PipelineResult,
  type RedisClient,
  type Reply,
  type ScanOptions,
  type Script,
} from '../../connection/index.js';
import { hashPutScript } from '../cache.scripts.js';
import type { StandbyMirror } from './fallback-mirror.js';

export class WatchedClient extends PassingClient {
  readonly #inner: RedisClient;
  readonly #mirror: StandbyMirror;
  readonly #onFailure: (error: unknown) => void;

  constructor(inner: RedisClient, parts: { mirror: StandbyMirror; onFailure: (error: unknown) => void }) {
    super(inner);
    this.#inner = inner;
    this.#mirror = parts.mirror;
    this.#onFailure = parts.onFailure;
  }

  override command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    const key = String(args[0]);
    const since = this.#mirror.beforeCommand(name, key);
    return this.#inner.command<R>(name, args, options).then(
      (reply) => {
        this.#mirror.afterCommand(name, args, { reply, since });
        return reply;
      },
      (error: unknown) => {
        this.#mirror.ended(name, key, since);
        return this.#fail(error, options);
      },
    );
  }

  override pipeline(
    commands: readonly PipelineCommand[],
    options?: CallOptions,
  ): Promise<readonly PipelineResult[]> {
    return this.#inner.pipeline(commands, options).catch((error: unknown) => this.#fail(error, options));
  }

  override run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    const key = keys[0] ?? '';
    const since = this.#mirror.before(script, key, args);
    return this.#inner.run(script, keys, args, options).then(
      (result) => {
        this.#mirror.after(script, key, { args, result, since });
        return result;
      },
      (error: unknown) => {
        this.#mirror.ended(script, key, since);
        return this.#fail(error, options);
      },
    );
  }

  override async *scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    try {
      yield* this.#inner.scan(options);
    } catch (error) {
      this.#fail(error, options);
    }
  }

  /** That the caller has given up says nothing about Redis. */
  #fail(error: unknown, options: { readonly signal?: AbortSignal | undefined } | undefined): never {
    if (options?.signal?.aborted !== true) this.#onFailure(error);
    throw error;
  }
}

const READS: ReadonlySet<string> = new Set(['GET', 'HGET', 'TYPE', 'PTTL', 'EXISTS']);

/** Of counters and hashes, whose expiry Redis does not tell with the answer. */
const CHANGES_IN_PLACE: ReadonlySet<unknown> = new Set([hashPutScript, incrementScript]);

/** Beyond that, names of what was changed are not kept one by one. */
const MOST_CHANGED = 100_000;

export class GuardedClient extends PassingClient {
  readonly #inner: RedisClient;
  readonly #clockKey: string;
  readonly #changed = new Set<string>();
  #inCharge = false;

  /** `clockKey` stays when changes are dropped: later clocks have to be greater than all before. */
  constructor(inner: RedisClient, clockKey: string) {
    super(inner);
    this.#inner = inner;
    this.#clockKey = clockKey;
  }

  takeCharge(): void {
    this.#inCharge = true;
  }

  /** Whether the key was changed since the standby took charge; otherwise it is a copy of what Redis held. */
  hasChanged(key: string): boolean {
    return this.#changed.has(key);
  }

  /** From here on it takes no changes, so that a load which is still under way stores nothing, and forgets those it took. */
  async stepDown(): Promise<void> {
    this.#inCharge = false;
    if (this.#changed.size < MOST_CHANGED) await this.#drop([...this.#changed]);
    else for await (const names of this.#inner.scan()) await this.#drop(names);
    this.#changed.clear();
  }

  override command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    if (READS.has(name)) return this.#inner.command<R>(name, args, options);
    if (!this.#inCharge) return Promise.reject(notInCharge(name));
    const key = String(args[0]);
    const isCopy = name === 'INCRBY' && this.#mayBeCopy(key);
    this.#note(key);
    const changing = this.#inner.command<R>(name, args, options);
    return isCopy ? this.#lasting(changing, key, 0) : changing;
  }

  override pipeline(commands: readonly PipelineCommand[]): Promise<readonly PipelineResult[]> {
    return Promise.resolve(commands.map(({ name }) => ({ ok: false, error: notInCharge(name) })));
  }

  override run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    if (script.readOnly) return this.#inner.run(script, keys, args, options);
    if (!this.#inCharge) return Promise.reject(notInCharge(script.name));
    const [key = ''] = keys;
    const isCopy = CHANGES_IN_PLACE.has(script) && this.#mayBeCopy(key);
    for (const each of keys) this.#note(each);
    const changing = this.#inner.run(script, keys, args, options);
    return isCopy ? this.#lasting(changing, key, Number(Reflect.get(Object(args), 'ttlMs'))) : changing;
  }

  /**
   * Redis did not tell when the copy ends that is changed for the first time, and what it is owed has to be here when
   * it is told. Later changes do not renew the time, as they do not in Redis.
   */
  async #lasting<T>(changing: Promise<T>, key: string, ttlMs: number): Promise<T> {
    const changed = await changing;
    if (ttlMs === 0) await this.#inner.command('PERSIST', [key]);
    else await this.#inner.command('PEXPIRE', [key, ttlMs, 'GT']);
    return changed;
  }

  /** Where names are not kept any more, a change must not renew the time again and again. */
  #mayBeCopy(key: string): boolean {
    return this.#changed.size < MOST_CHANGED && !this.#changed.has(key);
  }

  #note(key: string): void {
    if (key !== this.#clockKey && this.#changed.size < MOST_CHANGED) this.#changed.add(key);
  }

  async #drop(keys: readonly string[]): Promise<void> {
    const names = keys.filter((key) => key !== this.#clockKey);
    if (names.length > 0) await this.#inner.command('UNLINK', names);
  }
}

function notInCharge(what: string): NotConnectedError {
  return new NotConnectedError(`${what}: the standby takes changes only while Redis is away`, {
    hint: 'Redis is back; the call after this one goes there',
  });
}
