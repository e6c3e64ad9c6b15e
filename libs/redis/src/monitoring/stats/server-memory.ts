/** What `INFO` says of memory. */
import { RedisReplyError, type RedisClient } from '../../connection/index.js';
import type { ServerMemory } from './stats-report.js';

export async function serverMemory(client: RedisClient): Promise<ServerMemory> {
  const text = String(await client.command('INFO', []));
  const fields = new Map(
    text.split('\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
  const usedBytes = Number(fields.get('used_memory'));
  if (!Number.isFinite(usedBytes)) {
    throw new RedisReplyError('INFO does not tell of memory', { command: 'INFO' });
  }
  return {
    usedBytes,
    maxBytes: Number(fields.get('maxmemory') ?? 0),
    policy: fields.get('maxmemory_policy') ?? '',
    evictedKeys: Number(fields.get('evicted_keys') ?? 0),
    expiredKeys: Number(fields.get('expired_keys') ?? 0),
  };
}
