/** Names of loads: who made them, and a number. Nobody else can make the same. */
import { randomBytes } from 'node:crypto';
import { TOKEN_LENGTH } from './lease-record.js';

const OWNER_BYTES = 9;

export class Tokens {
  readonly #owner = randomBytes(OWNER_BYTES).toString('base64url');
  #count = 0;

  next(): string {
    this.#count += 1;
    return this.#owner + this.#count.toString(36).padStart(TOKEN_LENGTH - this.#owner.length, '0');
  }
}
