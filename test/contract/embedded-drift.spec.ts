/**
 * The embedded keyspace against a real server: the same random commands to both, replies and errors compared
 * after each step. The seed is printed; `DRIFT_SEED` repeats a run, `DRIFT_COMMANDS` makes it longer.
 */
import {
  createClient,
  resolveConnection,
  type PipelineResult,
  type RedisClient,
  type Reply,
} from '@anbar/nestjs-redis/connection';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agree, show } from '../../libs/redis/testing/keyspace-model/agreement.js';
import { knownDivergences } from '../../libs/redis/testing/keyspace-model/known-divergences.js';
import {
  randomCommand,
  type RandomCommand,
} from '../../libs/redis/testing/keyspace-model/random-commands.js';
import {
  Resp2Connection,
  ServerError,
  type ServerReply,
} from '../../libs/redis/testing/keyspace-model/resp2-connection.js';
import { seededRandom, startStandalone, type Standalone } from '../topology/index.js';

const SEED = Number(process.env['DRIFT_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const COMMANDS = Number(process.env['DRIFT_COMMANDS'] ?? 120_000);
const BATCH = 250;
/** Fresh data this often, or every key ends up with an expiry and a long history. */
const BATCHES_PER_LIFE = 16;
const LIMITS = { maxEntries: 10_000, maxBytes: 256 * 1024 * 1024 };

let server: Standalone;
let connection: Resp2Connection;

beforeAll(async () => {
  server = await startStandalone();
  connection = await Resp2Connection.open(server.port, server.host);
});

afterAll(async () => {
  connection.close();
  await server.stop();
});

function createEmbedded(): RedisClient {
  return createClient(resolveConnection('drift', { topology: 'embedded', embedded: LIMITS }, []));
}

interface Divergence {
  readonly command: RandomCommand;
  readonly real: ServerReply;
  readonly embedded: ServerReply;
  readonly history: readonly RandomCommand[];
}

function toServerReply(result: PipelineResult, command: RandomCommand): ServerReply {
  if (result.ok) return fromReply(result.value);
  // The library's errors name the command first.
  const prefix = `${command.name.toUpperCase()}: `;
  const { message } = result.error;
  return new ServerError(message.startsWith(prefix) ? message.slice(prefix.length) : message);
}

function fromReply(reply: Reply): ServerReply {
  if (typeof reply === 'string') return Buffer.from(reply);
  if (Array.isArray(reply)) return reply.map(fromReply);
  return reply as Exclude<Reply, string | readonly Reply[]>;
}

/** A real server quotes the arguments of an unknown command; the embedded one must not. */
function withoutQuotedArguments(reply: ServerReply): ServerReply {
  if (!(reply instanceof ServerError)) return reply;
  return new ServerError(reply.message.replace(/, with args beginning with:.*$/su, ''));
}

async function compare(commands: readonly RandomCommand[], client: RedisClient) {
  const wire = commands.map(({ name, args }) => [name, ...args]);
  const [real, embedded] = await Promise.all([
    connection.send(wire),
    client.pipeline(commands, { reply: 'bytes' }),
  ]);
  for (const [index, command] of commands.entries()) {
    const expected = withoutQuotedArguments(real[index] ?? null);
    const result = embedded[index];
    const actual = result === undefined ? null : toServerReply(result, command);
    if (!agree(expected, actual, command.agreement))
      return { index, command, real: expected, embedded: actual };
  }
  return undefined;
}

async function findDivergence(seed: number, count: number): Promise<Divergence | undefined> {
  const random = seededRandom(seed);
  let client = createEmbedded();
  let history: RandomCommand[] = [];
  for (let batch = 0; batch * BATCH < count; batch += 1) {
    if (batch % BATCHES_PER_LIFE === 0) {
      await connection.send([['FLUSHALL']]);
      await client.disconnect();
      client = createEmbedded();
      history = [];
    }
    const commands = Array.from({ length: BATCH }, () => randomCommand(random));
    const divergence = await compare(commands, client);
    if (divergence !== undefined) {
      const before = [...history, ...commands.slice(0, divergence.index)];
      return {
        ...divergence,
        history: before.filter((other) => shareKey(other, divergence.command)).slice(-12),
      };
    }
    history.push(...commands);
  }
  await client.disconnect();
  return undefined;
}

function shareKey(left: RandomCommand, right: RandomCommand): boolean {
  const names = new Set(right.args.map(String));
  return left.args.slice(0, 2).some((arg) => names.has(String(arg)));
}

function explain({ command, real, embedded, history }: Divergence): string {
  const line = ({ name, args }: RandomCommand): string =>
    `${name} ${args.map((arg) => JSON.stringify(Buffer.isBuffer(arg) ? arg.toString('latin1') : arg)).join(' ')}`;
  return [
    `seed ${SEED}`,
    ...history.map((other) => `    ${line(other)}`),
    `  > ${line(command)}`,
    `  redis:    ${show(real)}`,
    `  embedded: ${show(embedded)}`,
  ].join('\n');
}

describe('a real server', () => {
  it.each(knownDivergences)('answers as it is written down: $about', async ({ commands, reply }) => {
    const replies = await connection.send([['FLUSHALL'], ...commands]);
    expect(show(replies.at(-1) ?? null)).toBe(reply);
  });
});

describe('the embedded keyspace and a real server', () => {
  it(
    `answer ${COMMANDS} random commands alike (seed ${SEED})`,
    async () => {
      const divergence = await findDivergence(SEED, COMMANDS);
      expect(divergence === undefined ? 'no divergence' : explain(divergence)).toBe('no divergence');
    },
    10_000 + COMMANDS,
  );
});
