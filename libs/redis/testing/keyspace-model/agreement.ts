/** Whether two replies to the same command agree. */
import type { Agreement } from './random-commands.js';
import { ServerError, type ServerReply } from './resp2-connection.js';

/** Between the two answers some time passes, and seconds are rounded. */
const TOLERANCE_MS = 2_000;
const TOLERANCE_SECONDS = 2;

export function agree(left: ServerReply, right: ServerReply, agreement: Agreement): boolean {
  if (agreement === 'outcome' && !(left instanceof ServerError)) return !(right instanceof ServerError);
  const near = tolerance(agreement);
  if (near !== undefined && typeof left === 'number' && typeof right === 'number' && left >= 0) {
    return Math.abs(left - right) <= near;
  }
  return show(arranged(left, agreement)) === show(arranged(right, agreement));
}

/** A reply as one line, for comparing and for reading. */
export function show(reply: ServerReply): string {
  if (reply instanceof ServerError) return `(error) ${reply.message}`;
  if (Buffer.isBuffer(reply)) return JSON.stringify(reply.toString('latin1'));
  if (isArray(reply)) return `[${reply.map(show).join(', ')}]`;
  return String(reply);
}

function tolerance(agreement: Agreement): number | undefined {
  if (agreement === 'milliseconds') return TOLERANCE_MS;
  return agreement === 'seconds' ? TOLERANCE_SECONDS : undefined;
}

function arranged(reply: ServerReply, agreement: Agreement): ServerReply {
  if (!isArray(reply)) return reply;
  switch (agreement) {
    case 'unordered':
      return sorted(reply);
    case 'pairs':
      return sorted(inPairs(reply));
    case 'scan':
      return sorted(arrayAt(reply, 1));
    case 'scan-pairs':
      return sorted(inPairs(arrayAt(reply, 1)));
    case 'exact':
    case 'outcome':
    case 'milliseconds':
    case 'seconds':
      return reply;
    default:
      return agreement satisfies never;
  }
}

function inPairs(reply: readonly ServerReply[]): ServerReply[] {
  return reply.flatMap((item, index) => (index % 2 === 0 ? [[item, reply[index + 1] ?? null]] : []));
}

function sorted(reply: readonly ServerReply[]): ServerReply[] {
  return reply.toSorted((left, right) => (show(left) < show(right) ? -1 : 1));
}

function arrayAt(reply: readonly ServerReply[], index: number): readonly ServerReply[] {
  const item = reply[index] ?? null;
  return isArray(item) ? item : [];
}

function isArray(reply: ServerReply): reply is readonly ServerReply[] {
  return Array.isArray(reply);
}
