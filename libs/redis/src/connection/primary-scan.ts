/**
 * SCAN over every server that holds keys of its own. ioredis' `Cluster.scan` asks one node at random and
 * misses the keys of all others; here each primary has its own cursor.
 */
import { parsePositiveDuration, RedisModuleError, safeMessage, type Clock } from '../core/index.js';
import { NotConnectedError, RedisReplyError } from './connection.errors.js';
import type { Link } from './link.js';
import type { ScanOptions } from './redis-client.js';
import { replyItems, replyText, type Reply } from './reply.js';

export interface PrimaryScan {
  primaries(): readonly Link[];
  whenReady(): Promise<void>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly options: ScanOptions;
}

const DEFAULT_COUNT = 500;

export async function* scanPrimaries(scan: PrimaryScan): AsyncGenerator<readonly string[]> {
  const { options, clock } = scan;
  const { timeout } = options;
  const timeoutMs = timeout === undefined ? scan.timeoutMs : parsePositiveDuration(timeout, 'timeout');
  await scan.whenReady();
  const filter = [
    'COUNT',
    String(options.count ?? DEFAULT_COUNT),
    ...(options.match === undefined ? [] : ['MATCH', options.match]),
    ...(options.type === undefined ? [] : ['TYPE', options.type]),
  ];
  for (const link of scan.primaries()) {
    let cursor = '0';
    do {
      options.signal?.throwIfAborted();
      const askedAt = clock.now();
      const page = toPage(await link.ask('SCAN', [cursor, ...filter], timeoutMs).catch(fail(link)));
      const durationMs = clock.now() - askedAt;
      cursor = page.cursor;
      await options.onPage?.({ node: link.node, durationMs, names: page.keys.length });
      if (page.keys.length > 0) yield page.keys;
    } while (cursor !== '0');
  }
}

/** A question to a link of its own goes past the layer that turns the driver's errors into ours. */
const fail =
  ({ node }: Link) =>
  (error: unknown): never => {
    if (error instanceof RedisModuleError) throw error;
    const reason = safeMessage(error instanceof Error ? error.message : String(error));
    if (error instanceof Error && error.name === 'ReplyError')
      throw new RedisReplyError(reason, { command: 'SCAN' });
    throw new NotConnectedError(`SCAN: no connection to ${node} (${reason})`, {
      hint: 'begin again: what a scan has brought until then is a part',
    });
  };

function toPage(reply: Reply): { cursor: string; keys: readonly string[] } {
  const [cursor, keys] = replyItems(reply);
  return { cursor: replyText(cursor) || '0', keys: replyItems(keys).map(replyText) };
}
