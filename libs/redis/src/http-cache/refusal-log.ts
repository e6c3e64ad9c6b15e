/** Tells why requests and answers are left out of the cache: whoever expects a hit should learn why there is none. */
import { HINTS, type Refusal } from './answer-policy.js';
import type { StoredReplies } from './stored-reply.js';

export class RefusalLog {
  readonly #replies: StoredReplies;
  readonly #warn: (message: string) => void;
  readonly #told = new Set<string>();

  constructor(replies: StoredReplies, warn: (message: string) => void) {
    this.#replies = replies;
    this.#warn = warn;
  }

  /** Of each an event; in the log once per route and reason. */
  tell(route: string, refusal: Refusal): void {
    this.#replies.publish(route, `refused:${refusal}`);
    const hint = HINTS[refusal];
    const mark = `${route} ${refusal}`;
    if (hint === undefined || this.#told.has(mark)) return;
    this.#told.add(mark);
    this.#warn(`${route} is not cached (${refusal}): ${hint}`);
  }
}
