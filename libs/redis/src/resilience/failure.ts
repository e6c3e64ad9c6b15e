/** What a failure means for a retry and for the breaker. Whoever makes the calls knows, so it is handed in. */
import { isCircuitOpenError } from './resilience.errors.js';

export interface Failure {
  /** `'no'`: certainly not carried out. `'unknown'`: it may have been, so only a repeatable call is repeated. */
  readonly executed: 'no' | 'unknown';
  /** `false` for what would fail the same way again: a wrong type, a refused login, a syntax error. */
  readonly retryable: boolean;
  /** Whether it says something about the health of what was called, and so counts for the breaker. */
  readonly counts: boolean;
}

export type Classify = (error: unknown) => Failure;

const REFUSED: Failure = { executed: 'no', retryable: false, counts: false };
const ANY_OTHER: Failure = { executed: 'unknown', retryable: true, counts: true };

/** A refusal is never tried again, whatever `classify` thinks of it: failing fast is what it is for. */
export function sparingRefusals(classify: Classify): Classify {
  return (error) => (isCircuitOpenError(error) ? REFUSED : classify(error));
}

/** For work nothing is known about: every failure counts, and what it did before it failed is unknown. */
export const classifyUnknownWork: Classify = () => ANY_OTHER;
