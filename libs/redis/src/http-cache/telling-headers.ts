/**
 * Which request headers have a say in whether and from where an answer is given. One look at each header that came is
 * cheaper than one at each that might have come, and this is done for every hit.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { ORIGIN_HEADERS, OVERRIDES } from './answer-key.js';

const BITS = {
  override: 1,
  precondition: 2,
  origin: 4,
  credentials: 8,
  cookies: 16,
  directives: 32,
} as const;

export type Subject = keyof typeof BITS;

/** What the headers of a request are about. */
export type Subjects = number & { readonly subjects: unique symbol };

/** Preconditions that a stored answer can not judge: the handler has to (RFC 9110, sections 13.1.1 and 13.1.4). */
const PRECONDITIONS = ['if-match', 'if-unmodified-since'] as const;

export class TellingHeaders {
  readonly #bits = new Map<string, number>();

  constructor(credentialHeaders: readonly string[]) {
    this.#add('override', OVERRIDES);
    this.#add('precondition', PRECONDITIONS);
    this.#add('origin', [...ORIGIN_HEADERS, 'forwarded']);
    this.#add('credentials', credentialHeaders);
    this.#add('cookies', ['cookie']);
    this.#add('directives', ['cache-control', 'pragma']);
  }

  of(headers: IncomingHttpHeaders): Subjects {
    let found = 0;
    for (const name of Object.keys(headers)) found |= this.#bits.get(name) ?? 0;
    return found as Subjects;
  }

  /** An application may take one header for several things, such as `cookie` for credentials. */
  #add(subject: Subject, names: readonly string[]): void {
    for (const name of names) this.#bits.set(name, (this.#bits.get(name) ?? 0) | BITS[subject]);
  }
}

export function saysSomething(subjects: Subjects, subject: Subject): boolean {
  return (subjects & BITS[subject]) !== 0;
}
