/** The options of the code, checked block by block with class-validator: every fault, and what of them is sound. */
import { getMetadataStorage, validateSync, type ValidationError } from 'class-validator';
import { didYouMean } from './did-you-mean.js';
import type { Fault } from './invalid-config.error.js';
import { kindOf, show } from './masking.js';
import {
  BLOCKS,
  ConnectionRules,
  isBlock,
  ModuleRules,
  RULE,
  ShardRules,
  type RulesClass,
} from './option-rules.js';
import { secretsOfUrl } from './redis-url.js';
import { connectionName, problemWith } from './rule.js';

type Block = Readonly<Record<string, unknown>>;

export interface BlockReading {
  /** Where it stands: `'options'`, `'options.connections.reports'`. */
  readonly path: string;
  /** Names that were given, sound or not. `undefined` means not given: `url: config.get('REDIS_URL')`. */
  readonly given: ReadonlySet<string>;
  /** The options that are sound. */
  readonly sound: Block;
}

export interface OptionsReading {
  readonly main: BlockReading;
  readonly connections: ReadonlyMap<string, BlockReading>;
  readonly shards: ReadonlyMap<string, BlockReading>;
  readonly faults: readonly Fault[];
}

const MAIN = 'options';

export function readOptions(options: unknown): OptionsReading {
  const faults: Fault[] = [];
  if (!isBlock(options)) {
    faults.push({ where: MAIN, problem: `${kindOf(options)} is not an object with options` });
    const main = readBlock(ModuleRules, {}, { path: MAIN, faults });
    return { main, connections: new Map(), shards: new Map(), faults };
  }
  const main = readBlock(ModuleRules, options, { path: MAIN, faults });
  const connections = readNamed(main.sound, 'connections', ConnectionRules, faults);
  const shards = readNamed(main.sound, 'shards', ShardRules, faults);
  return { main, connections, shards, faults };
}

function readNamed(
  main: Block,
  option: 'connections' | 'shards',
  Rules: RulesClass,
  faults: Fault[],
): ReadonlyMap<string, BlockReading> {
  const readings = new Map<string, BlockReading>();
  const named = main[option];
  for (const [name, value] of Object.entries(isBlock(named) ? named : {})) {
    if (value === undefined) continue;
    const path = `${MAIN}.${option}.${name}`;
    const problem = option === 'shards' ? problemOfShard(name, value) : problemOfConnection(name, value);
    if (problem !== undefined) faults.push({ where: path, problem });
    else if (isBlock(value)) readings.set(name, readBlock(Rules, value, { path, faults }));
  }
  return readings;
}

/** Every text among the options that may not be printed. Nothing that matters lies deeper than four levels. */
export function secretsOfOptions(options: unknown, name = '', depth = 0): readonly string[] {
  if (typeof options === 'string') {
    if (name === 'url') return secretsOfUrl(options);
    return /^(?:password|passphrase|key)$/u.test(name) ? [options] : [];
  }
  if (typeof options !== 'object' || options === null || options instanceof Uint8Array || depth > 4)
    return [];
  return Object.entries(options).flatMap(([key, value]: [string, unknown]) =>
    secretsOfOptions(value, Array.isArray(options) ? name : key, depth + 1),
  );
}

function problemOfConnection(name: string, value: unknown): string | undefined {
  if (name === 'default')
    return "'default' is the connection at the top level of the options, so no other one may have the name";
  if (!connectionName.holds(name)) return problemWith(connectionName, name);
  return isBlock(value) ? undefined : `${kindOf(value)} is not an object with options`;
}

function problemOfShard(name: string, value: unknown): string | undefined {
  if (!connectionName.holds(name)) return problemWith(connectionName, name);
  return isBlock(value) ? undefined : `${kindOf(value)} is not an object with options`;
}

function readBlock(Rules: RulesClass, block: Block, at: { path: string; faults: Fault[] }): BlockReading {
  const known = namesOf(Rules);
  const given = Object.entries(block).filter(([, value]) => value !== undefined);
  const instance = new Rules();
  for (const [name, value] of given) {
    if (known.has(name)) Reflect.defineProperty(instance, name, { value, enumerable: true });
    else at.faults.push(unknownName(name, known, at.path));
  }
  const errors = validateSync(instance, {
    skipUndefinedProperties: true,
    validationError: { target: false, value: false },
  });
  const refused = new Set(errors.map(({ property }) => property));
  at.faults.push(...errors.map((error) => faultOf(error, at.path)));

  const sound: Record<string, unknown> = {};
  for (const [name, value] of given) {
    if (known.has(name) && !refused.has(name)) sound[name] = readNested(name, value, at);
  }
  return { path: at.path, given: new Set(given.map(([name]) => name)), sound };
}

function readNested(name: string, value: unknown, at: { path: string; faults: Fault[] }): unknown {
  const Rules = BLOCKS[name];
  if (Rules === undefined || !isBlock(value)) return value;
  return readBlock(Rules, value, { ...at, path: `${at.path}.${name}` }).sound;
}

/** The decorators are the one list of names. */
function namesOf(Rules: RulesClass): ReadonlySet<string> {
  const rules = getMetadataStorage().getTargetValidationMetadatas(Rules, '', false, false);
  return new Set(rules.map(({ propertyName }) => propertyName));
}

function unknownName(name: string, known: ReadonlySet<string>, path: string): Fault {
  const meant = didYouMean(name, known);
  return {
    where: path,
    problem: `there is no option ${show(name)}`,
    hint:
      meant === undefined ? `known here: ${[...known].toSorted().join(', ')}` : `did you mean '${meant}'?`,
  };
}

function faultOf(error: ValidationError, path: string): Fault {
  const [constraint = RULE, problem = 'is not valid'] =
    Object.entries(error.constraints ?? {}).find(([name]) => name === RULE) ??
    Object.entries(error.constraints ?? {})[0] ??
    [];
  const context: unknown = error.contexts?.[constraint];
  const hint = isBlock(context) && typeof context['hint'] === 'string' ? context['hint'] : undefined;
  return { where: `${path}.${error.property}`, problem, hint };
}
