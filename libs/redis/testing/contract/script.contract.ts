/**
 * A script and its twin are one step written twice. This runs the Lua of it on a server and the twin on an
 * embedded keyspace, over the same random inputs from the same state, and compares answers and keyspaces.
 */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import {
  createClient,
  resolveConnection,
  type PipelineCommand,
  type RedisClient,
  type Script,
} from '../../src/connection/index.js';
import { isRedisModuleError } from '../../src/core/index.js';
import type { Contract } from './contract.js';
import { createRandom, type Random } from './random.js';

export interface ScriptInput<Keys, Args> {
  readonly keys: Keys;
  readonly args: Args;
  /** What others did to the keys meanwhile. */
  readonly before?: readonly PipelineCommand[];
}

/** Draws one input. Few keys are best: a run has to meet what earlier ones left. */
export type DrawInput<Keys, Args> = (
  random: Random,
  key: (name: string) => string,
) => ScriptInput<Keys, Args>;

export interface ScriptContractOptions {
  /** @default 150 */
  readonly runs?: number;
  /** Repeats a run that failed. @default a new one each time, shown in the name of the case */
  readonly seed?: number;
}

/** Two machines ask for an expiry one after the other, and may be held up in between. */
const CLOCK_TOLERANCE_MS = 5_000;
const PATIENT = { timeout: '5s' } as const;

/** `draw` should give expiries of more than some seconds, since time passes differently in two places. */
export function scriptContract<Keys extends readonly string[], Args, Result>(
  script: Script<Keys, Args, Result>,
  draw: DrawInput<Keys, Args>,
  options: ScriptContractOptions = {},
): Contract<RedisClient> {
  const { runs = 150, seed = Math.floor(Math.random() * 2 ** 31) } = options;
  return {
    name: `script ${script.name}`,
    cases: [
      {
        name: `Lua and twin answer alike and leave the same behind (${runs} random runs, seed ${seed})`,
        async run(client, { key }) {
          const twin = createClient(resolveConnection('twin', { topology: 'embedded' }, []));
          const random = createRandom(seed);
          try {
            for (let step = 0; step < runs; step += 1) {
              const input = draw(random, key);
              const both = await Promise.all([client, twin].map((each) => perform(each, script, input)));
              compare(both, `seed ${seed}, run ${step}: ${inspect(input, { depth: 4 })}`);
            }
          } finally {
            await twin.disconnect();
          }
        },
      },
    ],
  };
}

interface Trace {
  readonly outcome: unknown;
  readonly state: readonly unknown[];
  readonly expiries: readonly unknown[];
}

async function perform<Keys extends readonly string[], Args, Result>(
  client: RedisClient,
  script: Script<Keys, Args, Result>,
  { keys, args, before = [] }: ScriptInput<Keys, Args>,
): Promise<Trace> {
  await client.pipeline(before, PATIENT);
  const outcome: unknown = await client.run(script, keys, args, PATIENT).catch(errorName);
  const state = await client.pipeline(keys.flatMap(questions), PATIENT);
  const expiries = await client.pipeline(
    keys.map((key) => ({ name: 'PTTL', args: [key] })),
    PATIENT,
  );
  const values = [...state, ...expiries].map((each) => (each.ok ? each.value : errorName(each.error)));
  return { outcome, state: values.slice(0, state.length), expiries: values.slice(state.length) };
}

/** Whatever the type of the key is, one of them tells its value and the others tell its type. */
function questions(key: string): readonly PipelineCommand[] {
  return [
    { name: 'TYPE', args: [key] },
    { name: 'GET', args: [key] },
    { name: 'HGETALL', args: [key] },
    { name: 'LRANGE', args: [key, 0, -1] },
    { name: 'ZRANGE', args: [key, 0, -1, 'WITHSCORES'] },
    { name: 'SCARD', args: [key] },
  ];
}

/** The texts differ: a server adds the script and the line to them. */
function errorName(error: unknown): string {
  if (!isRedisModuleError(error)) throw error;
  return `${error.code} ${String(Reflect.get(error, 'kind'))}`;
}

function compare(traces: readonly Trace[], where: string): void {
  const [real, twin] = traces;
  assert.ok(real !== undefined && twin !== undefined);
  assert.deepEqual(twin.outcome, real.outcome, `the twin answers otherwise, ${where}`);
  assert.deepEqual(twin.state, real.state, `the twin leaves something else behind, ${where}`);
  for (const [i, expiry] of real.expiries.entries()) {
    const its = twin.expiries[i];
    const close =
      Number(expiry) < 0 || Number(its) < 0
        ? expiry === its
        : Math.abs(Number(expiry) - Number(its)) < CLOCK_TOLERANCE_MS;
    assert.ok(close, `the twin leaves another expiry (${String(its)}, Lua ${String(expiry)}), ${where}`);
  }
}
