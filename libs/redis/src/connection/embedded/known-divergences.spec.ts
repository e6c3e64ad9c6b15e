/** The answers of Redis that the embedded keyspace once gave differently; the drift test asks a real server. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../core/index.js';
import { knownDivergences } from '../../../testing/keyspace-model/known-divergences.js';
import { show } from '../../../testing/keyspace-model/agreement.js';
import { ServerError, type ServerReply } from '../../../testing/keyspace-model/resp2-connection.js';
import type { Arg, Reply } from '../redis-client.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { toBytesReply } from './engine-reply.js';

const LIMITS = { maxEntries: 100, maxBytes: 1_000_000 };

function execute(engine: EmbeddedEngine, [name, ...args]: readonly [string, ...Arg[]]): Reply | ServerError {
  try {
    return toBytesReply(engine.execute(name, args));
  } catch (error) {
    return new ServerError(error instanceof Error ? error.message.replace(`${name}: `, '') : 'not an error');
  }
}

describe('the embedded keyspace', () => {
  it.each(knownDivergences)('answers as Redis: $about', ({ commands, reply }) => {
    const engine = new EmbeddedEngine({ limits: LIMITS, clock: systemClock, publish: () => 0 });
    const replies = commands.map((command) => execute(engine, command));
    engine.stop();
    expect(show((replies.at(-1) ?? null) as ServerReply)).toBe(reply);
  });
});
