/** Runs commands and scripts on the keyspace, each as one indivisible step. */
import type { Clock } from '../../core/index.js';
import { RedisReplyError } from '../connection.errors.js';
import type { Arg, Reply } from '../redis-client.js';
import type { ScriptKeyspace } from '../script.js';
import { toBytes, type Bytes } from './byte-string.js';
import { CommandFailure, failure, outOfMemory, wrongArity } from './command-failure.js';
import type { CommandContext, CommandSpec } from './command-spec.js';
import { findCommand } from './commands.js';
import { toScriptReply, type EngineReply } from './engine-reply.js';
import { ExpiryCycle } from './expiry-cycle.js';
import { Keyspace, type KeyspaceLimits } from './keyspace.js';
import { makeRoomFor } from './memory-demand.js';
import { ServerTime } from './server-time.js';

export interface EngineOptions {
  readonly limits: KeyspaceLimits;
  readonly clock: Clock;
  readonly publish: (channel: Bytes, payload: Bytes) => number;
}

export class EmbeddedEngine {
  readonly keyspace: Keyspace;
  readonly #time: ServerTime;
  readonly #context: CommandContext;
  readonly #expiryCycle: ExpiryCycle;

  constructor({ limits, clock, publish }: EngineOptions) {
    this.keyspace = new Keyspace(limits);
    this.#time = new ServerTime(clock);
    this.#context = { keyspace: this.keyspace, publish };
    this.#expiryCycle = new ExpiryCycle(this.keyspace, { clock, time: this.#time });
  }

  execute(name: string, args: readonly Arg[]): EngineReply {
    const spec = lookUp(name, args);
    this.keyspace.advanceTo(this.#time.now());
    if (spec.effect === 'grow' && !makeRoomFor(spec, args, this.keyspace))
      throw replyError(outOfMemory(), spec);
    const reply = this.#run(spec, args);
    this.#expiryCycle.wake();
    return reply;
  }

  /** Time stands still and nothing is evicted while `step` runs. */
  runScript(step: (keyspace: ScriptKeyspace) => Reply, readOnly: boolean): Reply {
    this.keyspace.advanceTo(this.#time.now());
    let running = true;
    const outOfRoom = !this.#evictDownToLimits();
    try {
      return step({
        call: (name, ...args) => {
          if (!running) throw new Error('a script used its keyspace after it had returned');
          return toScriptReply(this.#call(lookUp(name, args), args, { readOnly, outOfRoom }));
        },
        timeMicros: () => this.keyspace.nowMicros,
      });
    } finally {
      running = false;
      this.#evictDownToLimits();
      this.#expiryCycle.wake();
    }
  }

  stop(): void {
    this.#expiryCycle.stop();
  }

  /** As on a server, memory is looked at when a script begins, not in its midst. */
  #call(
    spec: CommandSpec,
    args: readonly Arg[],
    mode: { readOnly: boolean; outOfRoom: boolean },
  ): EngineReply {
    if (mode.readOnly && spec.effect !== 'read') {
      throw replyError(failure('Write commands are not allowed from read-only scripts.'), spec);
    }
    if (mode.outOfRoom && spec.effect === 'grow') throw replyError(outOfMemory(), spec);
    return this.#run(spec, args);
  }

  #run(spec: CommandSpec, args: readonly Arg[]): EngineReply {
    try {
      return spec.run(args, this.#context);
    } catch (error) {
      throw error instanceof CommandFailure ? replyError(error, spec) : error;
    } finally {
      this.keyspace.settle();
    }
  }

  #evictDownToLimits(): boolean {
    while (!this.keyspace.fits(0, 0)) {
      if (!this.keyspace.evictOne()) return false;
    }
    return true;
  }
}

function lookUp(name: string, args: readonly Arg[]): CommandSpec {
  const spec = findCommand(name);
  // Redis quotes the arguments here, which are data; this does not.
  if (spec === undefined) throw new RedisReplyError(`ERR unknown command '${unknownName(name)}'`);
  const given = args.length + 1;
  if (spec.arity >= 0 ? given !== spec.arity : given < -spec.arity) {
    throw replyError(wrongArity(spec.name), spec);
  }
  return spec;
}

function unknownName(name: string): string {
  return toBytes(name)
    .replace(/[^\x21-\x7e]/gu, '?')
    .slice(0, 128);
}

function replyError(error: CommandFailure, spec: CommandSpec): RedisReplyError {
  return new RedisReplyError(error.message, { command: spec.name.toUpperCase() });
}
