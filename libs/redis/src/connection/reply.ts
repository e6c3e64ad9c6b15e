/** What goes over the wire and what comes back, in the terms of JavaScript. */

/** What goes out. Numbers are written in decimal. */
export type Arg = string | Buffer | number;

/** What comes back: bulk strings as text or as bytes, as the call asked. Errors are thrown, not returned. */
export type Reply = string | Buffer | number | null | readonly Reply[];

/** What the driver decodes a reply to: bulk and simple strings are Buffers. */
export type RawReply = Buffer | string | number | bigint | boolean | null | undefined | Error | RawReply[];

/** The items of an array reply; none when it is something else. */
export function replyItems(reply: Reply | undefined): readonly Reply[] {
  return Array.isArray(reply) ? (reply as readonly Reply[]) : [];
}

export function replyText(reply: Reply | undefined): string {
  return typeof reply === 'string' || Buffer.isBuffer(reply) ? reply.toString() : '';
}
