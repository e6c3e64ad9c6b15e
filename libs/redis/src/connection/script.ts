/**
 * A Lua script as one typed value, with its twin: the same step in TypeScript over the embedded keyspace. A
 * contract suite runs both on the same random inputs, so the embedded default and Redis can not drift.
 *
 * The text is fixed: nothing is ever spliced into `lua`. Data travels in keys and arguments only.
 */
import { createHash } from 'node:crypto';
import type { Arg, Reply } from './reply.js';

/** The keyspace as a twin sees it: one command at a time, no time passes and nothing runs in between. */
export interface ScriptKeyspace {
  /** Runs one command and returns its reply; bulk strings are Buffers. Errors are thrown. */
  call(name: string, ...args: Arg[]): Reply;
  /** The server's clock in integer microseconds since 1970, as `TIME` tells it. */
  timeMicros(): number;
}

export interface ScriptDefinition<Keys extends readonly string[], Args, Result> {
  /** Unique, `capability.step`: used in telemetry as `lua:<name>`. */
  readonly name: string;
  readonly lua: string;
  /** What the script receives as ARGV. */
  readonly args: (args: Args) => readonly Arg[];
  /** Turns the raw reply (bulk strings as Buffers) into the result. */
  readonly decode: (reply: Reply) => Result;
  readonly twin: (keyspace: ScriptKeyspace, keys: Keys, args: Args) => Reply;
  /** It writes nothing: goes the way of reads and may be retried. @default false */
  readonly readOnly?: boolean;
  /** Running it twice with the same keys and arguments leaves the same state. @default the value of readOnly */
  readonly idempotent?: boolean;
}

export interface Script<Keys extends readonly string[], Args, Result> extends Required<
  ScriptDefinition<Keys, Args, Result>
> {
  readonly sha1: string;
}

export function defineScript<Keys extends readonly string[], Args, Result>(
  definition: ScriptDefinition<Keys, Args, Result>,
): Script<Keys, Args, Result> {
  const readOnly = definition.readOnly ?? false;
  return {
    ...definition,
    readOnly,
    idempotent: definition.idempotent ?? readOnly,
    // Redis names scripts by SHA-1; it is an address here, not a protection.
    sha1: createHash('sha1').update(definition.lua).digest('hex'),
  };
}
