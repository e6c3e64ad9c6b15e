/** What a command is to the engine. */
import type { Arg } from '../redis-client.js';
import type { Bytes } from './byte-string.js';
import type { EngineReply } from './engine-reply.js';
import type { Keyspace } from './keyspace.js';

export interface CommandContext {
  readonly keyspace: Keyspace;
  /** Hands a message to the subscribers; returns how many there are. */
  readonly publish: (channel: Bytes, payload: Bytes) => number;
}

export type CommandHandler = (args: readonly Arg[], context: CommandContext) => EngineReply;

/** `grow`: a write that may need memory, and is refused when there is none. `shrink`: any other write. */
type CommandEffect = 'read' | 'shrink' | 'grow';

/** Which arguments name keys that the command may create. */
export type CreatedKeys = 'none' | 'first' | 'second' | 'pairs';

export interface CommandSpec {
  /** In lower case, as it stands in error texts. */
  readonly name: string;
  /** Arguments with the command's name; negative for a minimum. */
  readonly arity: number;
  readonly effect: CommandEffect;
  readonly creates: CreatedKeys;
  /** What is at the created keys is replaced, not added to. */
  readonly replaces: boolean;
  readonly run: CommandHandler;
}

export function read(name: string, arity: number, run: CommandHandler): CommandSpec {
  return { name, arity, effect: 'read', creates: 'none', replaces: false, run };
}

/** A write that needs no memory. */
export function shrink(name: string, arity: number, run: CommandHandler): CommandSpec {
  return { name, arity, effect: 'shrink', creates: 'none', replaces: false, run };
}

/** A write that adds to the key in front. */
export function grow(name: string, arity: number, run: CommandHandler): CommandSpec {
  return { name, arity, effect: 'grow', creates: 'first', replaces: false, run };
}
