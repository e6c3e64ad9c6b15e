/**
 * What stands under a lease key: one sign for the state, the token of the load, and for a failed load its
 * failure. The end of a load stays readable for a moment, so that those who waited for this very load learn
 * its outcome even when the message passed them by.
 */

/** All tokens have this length, in Lua too. */
export const TOKEN_LENGTH = 20;

export const HELD = '+';
export const FILLED = '=';
export const FAILED = '!';
export const NOTHING = '0';

/** What `set` leaves of a lease: it names no load, so no load can store under it. */
export const STORED = FILLED + 'set'.padEnd(TOKEN_LENGTH, '-');

/** Longer than lies between a read and the question for the lease that follows its miss. */
export const KEEP_FILLED_MS = 500;

export interface LeaseRecord {
  readonly state: string;
  readonly token: string;
  readonly payload: Buffer;
}

export function readRecord(bytes: Buffer): LeaseRecord {
  return {
    state: bytes.toString('latin1', 0, 1),
    token: bytes.toString('latin1', 1, 1 + TOKEN_LENGTH),
    payload: bytes.subarray(1 + TOKEN_LENGTH),
  };
}

export function writeRecord(state: string, token: string, payload?: Buffer): Buffer {
  const head = Buffer.from(state + token, 'latin1');
  return payload === undefined ? head : Buffer.concat([head, payload]);
}
