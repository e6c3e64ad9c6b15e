/** Commands about the server itself. */
import type { Arg } from '../redis-client.js';
import { bytesAt } from './arguments.js';
import { asciiBytes } from './byte-string.js';
import { wrongArity } from './command-failure.js';
import { read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { Status, type EngineReply } from './engine-reply.js';

/** The Redis this engine is measured against. */
const REDIS_VERSION = '7.0.15';

function ping(args: readonly Arg[]): EngineReply {
  if (args.length > 1) throw wrongArity('ping');
  return args.length === 0 ? new Status('PONG') : bytesAt(args, 0);
}

function time(_: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const micros = keyspace.nowMicros;
  return [asciiBytes(Math.floor(micros / 1_000_000)), asciiBytes(micros % 1_000_000)];
}

function info(_: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const { entries, usedBytes, evicted, expired } = keyspace.stats();
  const keys = entries === 0 ? [] : [`db0:keys=${entries},expires=${keyspace.volatileCount},avg_ttl=0`];
  const lines = [
    '# Server',
    `redis_version:${REDIS_VERSION}`,
    'redis_mode:embedded',
    '',
    '# Memory',
    `used_memory:${usedBytes}`,
    `maxmemory:${keyspace.limits.maxBytes}`,
    'maxmemory_policy:volatile-lru',
    '',
    '# Stats',
    `expired_keys:${expired}`,
    `evicted_keys:${evicted}`,
    '',
    '# Replication',
    'role:master',
    'connected_slaves:0',
    '',
    '# Keyspace',
    ...keys,
    '',
  ];
  return asciiBytes(lines.join('\r\n'));
}

function publish(args: readonly Arg[], context: CommandContext): EngineReply {
  return context.publish(bytesAt(args, 0), bytesAt(args, 1));
}

export const serverCommands: readonly CommandSpec[] = [
  read('ping', -1, ping),
  read('echo', 2, (args) => bytesAt(args, 0)),
  read('time', 1, time),
  read('info', -1, info),
  // Redis too counts it among the writes, and keeps read-only scripts from it.
  shrink('publish', 3, publish),
];
