/** Entries of a stream as Redis answers them. */
import { replyItems, type Reply } from '../connection/index.js';

export interface StreamEntry {
  readonly id: string;
  readonly payload: Buffer;
  /** Which message of the stream it is, counted from its beginning. */
  readonly number: number | undefined;
  /** What stands beside the message. */
  readonly fields: ReadonlyMap<string, string>;
}

const NOTHING = Buffer.alloc(0);

/** The fields of a message: `m` for its bytes, `n` for its number. What others have added may have neither. */
export function toEntry(id: Reply | undefined, fields: Reply | undefined): StreamEntry {
  let payload: Buffer = NOTHING;
  let number: number | undefined;
  const others = new Map<string, string>();
  const flat = replyItems(fields);
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [field, value] = [String(flat[i]), flat[i + 1]];
    if (field === 'm' && Buffer.isBuffer(value)) payload = value;
    else if (field === 'n') number = Number(String(value));
    else others.set(field, String(value));
  }
  return { id: String(id), payload, number, fields: others };
}

/** Of `XRANGE`: a list of `[id, fields]`. */
export function entriesOf(reply: Reply | undefined): StreamEntry[] {
  return replyItems(reply).map((item) => {
    const [id, fields] = replyItems(item);
    return toEntry(id, fields);
  });
}

/** Of `XREAD` and `XREADGROUP` of one stream: the same, one level deeper, or nothing at all. */
export function entriesRead(reply: Reply | undefined): StreamEntry[] {
  const [stream] = replyItems(reply);
  return entriesOf(replyItems(stream)[1]);
}
