/**
 * A command for the driver without the promise, the callbacks and the copies its own constructor makes for
 * everyone: on the hot path they cost more than the rest of the call. Everything else is inherited from the
 * driver's class, so what a later version of it asks of a command is there.
 */
import { Command, ReplyError } from './driver.js';
import type { Arg, RawReply } from './reply.js';

/** The echo that ends a batch. */
export const ECHO_PLACE = -1;
/** `ASKING`, whose answer means nothing. */
export const ASKING_PLACE = -2;

export interface Answerer {
  answered(place: number, reply: RawReply): void;
  /** The server answered with an error. */
  refused(place: number, message: string): void;
  /** The driver did not take it: nothing was written. */
  unwritten(reason: string): void;
}

export class WireCommand {
  readonly name: string;
  readonly args: Arg[];
  /** Where its answer belongs in the batch: the number of an entry, or one of the places below. */
  readonly place: number;
  /** The driver traces commands by their promise, of which this has none; the client publishes calls itself. */
  readonly isTraced = true;
  readonly inTransaction = false;
  bufferMode = false;
  readonly #answerer: Answerer;

  constructor(answerer: Answerer, place: number, name: string, args: readonly Arg[]) {
    this.#answerer = answerer;
    this.place = place;
    this.name = name;
    this.args = [];
    for (const arg of args) {
      if (typeof arg === 'number') {
        this.args.push(String(arg));
      } else {
        if (typeof arg !== 'string') this.bufferMode = true;
        this.args.push(arg);
      }
    }
  }

  /**
   * In the form Redis reads. Bytes go into the sink as they are, and what comes before them with them; the driver
   * writes the rest that is returned.
   */
  toWritable(sink: { write(part: string | Buffer): boolean }): string {
    let text = `*${this.args.length + 1}\r\n${bulk(this.name)}`;
    for (const arg of this.args) {
      if (typeof arg === 'string') text += bulk(arg);
      else if (typeof arg === 'number') text += bulk(String(arg));
      else {
        sink.write(`${text}$${arg.length}\r\n`);
        sink.write(arg);
        text = '\r\n';
      }
    }
    return text;
  }

  resolve(reply: RawReply): void {
    this.#answerer.answered(this.place, reply);
  }

  reject(error: Error): void {
    if (error instanceof ReplyError) this.#answerer.refused(this.place, error.message);
    else this.#answerer.unwritten(error.message);
  }

  /** For the driver: it looks like one of its own. */
  asDriverCommand(): Command {
    return this as unknown as Command;
  }
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

Object.setPrototypeOf(WireCommand.prototype, Command.prototype);
