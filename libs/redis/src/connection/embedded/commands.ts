/** Every command the embedded engine knows. */
import type { CommandSpec } from './command-spec.js';
import { counterCommands } from './counter-commands.js';
import { hashCommands } from './hash-commands.js';
import { keyCommands } from './key-commands.js';
import { listCommands } from './list-commands.js';
import { serverCommands } from './server-commands.js';
import { setCommands } from './set-commands.js';
import { sortedSetCommands } from './sorted-set-commands.js';
import { sortedSetRangeCommands } from './sorted-set-range-commands.js';
import { streamCommands } from './stream-commands.js';
import { streamGroupCommands } from './stream-group-commands.js';
import { stringCommands } from './string-commands.js';

const ALL: readonly CommandSpec[] = [
  ...stringCommands,
  ...counterCommands,
  ...keyCommands,
  ...hashCommands,
  ...setCommands,
  ...sortedSetCommands,
  ...sortedSetRangeCommands,
  ...listCommands,
  ...streamCommands,
  ...streamGroupCommands,
  ...serverCommands,
];

/** By upper case, as callers write names; every other spelling is folded once more. */
const TABLE: ReadonlyMap<string, CommandSpec> = new Map(ALL.map((spec) => [spec.name.toUpperCase(), spec]));

export function findCommand(name: string): CommandSpec | undefined {
  return TABLE.get(name) ?? TABLE.get(name.toUpperCase());
}
