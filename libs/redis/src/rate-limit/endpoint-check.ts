/** A request at the door: the limits of its endpoint, before anything of a route is known or runs. */
import { CallPlace, whenAnswered } from './call-place.js';
import type { RateDecision } from './decision.js';
import { RememberedDecision } from './denial-memory.js';
import { problemOf, statusOf } from './problem.js';
import { RateLimitCall } from './rate-limit-call.js';
import type { Decided, RouteLimits } from './route-limits.js';

export interface EndpointRequest {
  readonly method: string;
  readonly url: string;
  /** The framework's, by which rules know who asks. */
  readonly request: object;
  /** Where headers are set, and whose end gives places back. */
  readonly response: object;
  /** Node's request, which every framework hands on as it is. */
  readonly raw: object;
}

/** One of them is called, once; none when the client has left meanwhile. */
export interface EndpointVerdict {
  pass(): void;
  /** The headers are set; what is left is the answer. */
  refuse(status: number, problem: string): void;
  fail(error: unknown): void;
}

/** A request may come by more than one door, and counts at the first. */
const SEEN = Symbol('anbar:endpoint-seen');

export function checkEndpoint(routes: RouteLimits, asked: EndpointRequest, verdict: EndpointVerdict): void {
  let decided: Decided | Promise<Decided>;
  let place: CallPlace | undefined;
  try {
    const planned = routes.endpointRules(asked.method, asked.url);
    const marked = asked.raw as { [SEEN]?: true };
    if (planned.rules.length === 0 || marked[SEEN] === true) {
      verdict.pass();
      return;
    }
    marked[SEEN] = true;
    if (planned.holdsPlaces) {
      const held = new CallPlace();
      // A client that leaves while the limits are asked is heard of only by who listens already.
      whenAnswered(asked.response, () => held.end());
      place = held;
    }
    const { request, response } = asked;
    decided = routes.apply(planned, new RateLimitCall({ kind: 'http', request, response }, routes.addresses));
  } catch (error) {
    verdict.fail(error);
    return;
  }
  if (decided instanceof Promise) {
    decided.then(
      (decision) => conclude(decision, place, verdict),
      (error: unknown) => verdict.fail(error),
    );
  } else {
    conclude(decided, place, verdict);
  }
}

function conclude(decision: Decided, place: CallPlace | undefined, verdict: EndpointVerdict): void {
  if (decision?.allowed === false) verdict.refuse(statusOf(decision), problemText(decision));
  else if (decision === undefined || place === undefined || place.keep(decision)) verdict.pass();
}

function problemText(decision: RateDecision): string {
  const make = (): string => JSON.stringify(problemOf(decision));
  return decision instanceof RememberedDecision ? decision.problem(make) : make();
}
