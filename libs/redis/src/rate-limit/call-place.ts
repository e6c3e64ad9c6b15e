/** The place one call holds in a `'concurrency'` limit, and when an answer over HTTP is over. */
import type { RateDecision } from './decision.js';

/** Whoever called may be gone before there is an answer: a place that comes after that goes back as it comes. */
export class CallPlace {
  #decision: RateDecision | undefined;
  #isOver = false;

  /** False when the call is over already. */
  keep(decision: RateDecision): boolean {
    this.#decision = decision;
    if (this.#isOver) void decision.release();
    return !this.#isOver;
  }

  end(): void {
    this.#isOver = true;
    void this.#decision?.release();
  }
}

/** What of Node's response is used; that of HTTP/2 knows by its stream alone whether it has closed. */
interface Answer {
  readonly raw?: Answer | undefined;
  readonly closed?: unknown;
  readonly stream?: { readonly closed?: unknown } | undefined;
  readonly once?: ((event: 'close', listener: () => void) => unknown) | undefined;
}

/** Once all of the answer has left, or its client has; at once where that has happened. */
export function whenAnswered(response: Answer, work: () => void): void {
  // The reply of Fastify is no stream, and keeps Node's response as `raw`.
  const answer = response.raw ?? response;
  const isClosed = answer.closed === true || answer.stream?.closed === true;
  if (isClosed || typeof answer.once !== 'function') work();
  else answer.once('close', work);
}
