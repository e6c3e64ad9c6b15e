/** The head of a stored answer. It changes once a second at most, so it is made as often and not for every hit. */
import type { CacheOutcome } from '../cache/index.js';
import { cacheControl, forwardStatus, hitStatus, mergedVary, type RouteHeaders } from './cache-headers.js';
import type { StoredAnswer } from './stored-answer.js';

type Headers = StoredAnswer['headers'];

/** What the head depends on besides the answer. */
interface HeadFacts {
  readonly outcome: CacheOutcome;
  readonly ageS: number;
  readonly route: RouteHeaders;
  readonly personal: boolean;
}

/** What others have said in this response before; empty texts as a rule. */
interface SaidBefore {
  readonly status: string;
  readonly vary: string;
}

interface AnswerHead {
  readonly all: Headers;
  /** Of a 304. */
  readonly repeated: Headers;
}

interface Kept extends AnswerHead {
  readonly facts: HeadFacts;
}

/** What a 304 has to repeat besides the tag (RFC 9110, section 15.4.5). */
const REPEATED: ReadonlySet<string> = new Set(['cache-control', 'content-location', 'expires', 'vary']);

export class AnswerHeads {
  /** By the answer itself: the near cache hands the same one to all readers. */
  readonly #kept = new WeakMap<StoredAnswer, Kept>();

  of(answer: StoredAnswer, facts: HeadFacts, said: SaidBefore): AnswerHead {
    if (said.status !== '' || said.vary !== '') return headOf(answer, facts, said);
    const kept = this.#kept.get(answer);
    if (kept !== undefined && isSame(kept.facts, facts)) return kept;
    const made = { ...headOf(answer, facts, said), facts };
    this.#kept.set(answer, made);
    return made;
  }
}

function isSame(one: HeadFacts, other: HeadFacts): boolean {
  return (
    one.ageS === other.ageS &&
    one.outcome === other.outcome &&
    one.route === other.route &&
    one.personal === other.personal
  );
}

function headOf(answer: StoredAnswer, facts: HeadFacts, said: SaidBefore): AnswerHead {
  const { outcome, ageS, route, personal } = facts;
  const made = outcome === 'loaded' || outcome === 'bypass';
  const status = made ? forwardStatus('uri-miss', '; collapsed') : hitStatus(outcome, route.ttlS, ageS);
  const vary = mergedVary(said.vary, route.vary);
  const own = answer.headers.some(([name]) => name === 'cache-control');
  const head: (readonly [string, string])[] = [
    ['etag', answer.etag],
    ['age', String(ageS)],
    ['x-cache', made ? 'MISS' : outcome === 'stale' ? 'STALE' : 'HIT'],
    ['cache-status', said.status === '' ? status : `${said.status}, ${status}`],
  ];
  if (!own) head.push(['cache-control', cacheControl(route, { ageS, personal })]);
  if (vary !== '') head.push(['vary', vary]);
  const length = answer.status === 204 ? [] : [['content-length', String(answer.length)] as const];
  return {
    all: [...head, ...length, ...answer.headers],
    repeated: [...head, ...answer.headers.filter(([name]) => REPEATED.has(name))],
  };
}
