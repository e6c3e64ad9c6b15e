/** How long to wait before the next attempt to connect, by what the last one failed of. */
import { equalJitter, fullJitter } from '../resilience/index.js';

/** A refused connection costs the server nothing, so it is tried often and a restart is noticed at once. */
const REFUSED = { baseMs: 50, maxMs: 400 };
/** A server that accepts and then fails pays for every attempt. */
const FAILED = { baseMs: 50, maxMs: 2_000 };
/** A wrong password does not become right by asking again. */
const UNWELCOME = { baseMs: 1_000, maxMs: 30_000 };
/** After a wire that worked: at once, but not all processes of a fleet in the same millisecond. */
const AT_ONCE_MS = 10;

export function reconnectDelay(reason: string, failures: number, random: () => number): number {
  if (/ECONNREFUSED/u.test(reason)) return fullJitter(REFUSED, random)(failures);
  if (isAuthProblem(reason)) return equalJitter(UNWELCOME, random)(failures);
  return failures === 0 ? random() * AT_ONCE_MS : equalJitter(FAILED, random)(failures);
}

/** The server knows us and will not let us in. */
function isAuthProblem(reason: string): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username/iu.test(reason);
}
