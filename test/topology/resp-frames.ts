/**
 * Cuts a RESP byte stream into pieces along the bounds of commands or replies, without keeping them: a 50 MB reply passes
 * through in the chunks it came in. Knows RESP2, RESP3 and inline commands, not RESP3's streamed types.
 */

/** Bytes of one frame: the whole of it, or a part when the frame spans several chunks. */
export interface FramePiece {
  readonly bytes: Buffer;
  /** Whether the frame begins, or ends, with this piece. */
  readonly starts: boolean;
  readonly ends: boolean;
  /** First byte of the frame, such as `*` or `>`. */
  readonly type: string;
  /** With the end of a command: its name in upper case. */
  readonly name: string;
}

const LINE_FEED = 10;
const HEAD_LENGTH = 64;

export class RespFrames {
  /** Values the current frame still misses; 0 between frames. */
  #missing = 0;
  /** Bytes of a bulk string, with its CR LF, still to come. */
  #bulk = 0;
  #line = '';
  #type = '';
  /** Start of the frame's first bulk string: the name, when the frame is a command. */
  #head = '';
  #headDone = false;

  cut(chunk: Buffer): FramePiece[] {
    const pieces: FramePiece[] = [];
    let from = 0;
    while (from < chunk.length) {
      const starts = this.#missing === 0;
      if (starts) this.#begin(chunk, from);
      let to = from;
      while (to < chunk.length && this.#missing > 0) to = this.#advance(chunk, to);
      const ends = this.#missing === 0;
      pieces.push({
        bytes: chunk.subarray(from, to),
        starts,
        ends,
        type: this.#type,
        name: ends ? this.#name() : '',
      });
      from = to;
    }
    return pieces;
  }

  #begin(chunk: Buffer, at: number): void {
    this.#missing = 1;
    this.#type = chunk.toString('latin1', at, at + 1);
    this.#head = '';
    this.#headDone = false;
  }

  #advance(chunk: Buffer, at: number): number {
    return this.#bulk > 0 ? this.#skipBulk(chunk, at) : this.#readLine(chunk, at);
  }

  #skipBulk(chunk: Buffer, at: number): number {
    const to = Math.min(at + this.#bulk, chunk.length);
    if (!this.#headDone) this.#head += chunk.toString('latin1', at, Math.min(to, at + HEAD_LENGTH));
    this.#bulk -= to - at;
    if (this.#bulk === 0) this.#valueDone();
    return to;
  }

  #readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LINE_FEED, at);
    const to = end === -1 ? chunk.length : end + 1;
    if (this.#line.length < HEAD_LENGTH)
      this.#line += chunk.toString('latin1', at, Math.min(to, at + HEAD_LENGTH));
    if (end !== -1) this.#header();
    return to;
  }

  #header(): void {
    const line = this.#line;
    this.#line = '';
    const length = Number(line.slice(1));
    switch (line.charAt(0)) {
      case '$':
      case '=':
      case '!':
        if (length >= 0) this.#bulk = length + 2;
        else this.#valueDone();
        return;
      case '*':
      case '~':
      case '>':
        this.#missing += Math.max(length, 0) - 1;
        return;
      case '%':
        this.#missing += 2 * length - 1;
        return;
      case '|':
        // An attribute stands before the value it belongs to.
        this.#missing += 2 * length;
        return;
      default:
        if (!this.#headDone) this.#head = line;
        this.#valueDone();
    }
  }

  #valueDone(): void {
    this.#headDone = true;
    this.#missing -= 1;
  }

  #name(): string {
    return (this.#head.trim().split(/\s/, 1)[0] ?? '').toUpperCase();
  }
}
