/** Replies inside the engine, before they become text or Buffers for a caller. */
import { bytesToBuffer, bytesToText, type Bytes } from './byte-string.js';
import type { Reply } from '../redis-client.js';

/** A simple string such as `OK`, to be told from a bulk string. */
export class Status {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type EngineReply = Bytes | Status | number | null | readonly EngineReply[];

export const OK = new Status('OK');

export function toTextReply(reply: EngineReply): Reply {
  if (typeof reply === 'string') return bytesToText(reply);
  if (reply === null || typeof reply === 'number') return reply;
  return reply instanceof Status ? reply.text : reply.map(toTextReply);
}

/** Statuses too come as Buffers, as from a server. */
export function toBytesReply(reply: EngineReply): Reply {
  if (typeof reply === 'string') return bytesToBuffer(reply);
  if (reply === null || typeof reply === 'number') return reply;
  return reply instanceof Status ? Buffer.from(reply.text) : reply.map(toBytesReply);
}

/** What a script sees: bulk strings as Buffers, statuses as text that `=== 'OK'` can be asked of. */
export function toScriptReply(reply: EngineReply): Reply {
  if (typeof reply === 'string') return bytesToBuffer(reply);
  if (reply === null || typeof reply === 'number') return reply;
  return reply instanceof Status ? reply.text : reply.map(toScriptReply);
}
