/** An answer as it is kept: the bytes that were sent, and the headers that describe them. */
import { createHash } from 'node:crypto';

export interface StoredAnswer {
  /** The shape's own version. */
  readonly http: 1;
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** A text, because a text can be handed to all readers as it stands. */
  readonly body: string;
  readonly encoding: 'utf8' | 'latin1';
  readonly length: number;
  readonly etag: string;
  /** Wall clock milliseconds. */
  readonly at: number;
}

/** What is being sent: an empty text for no body. */
export interface Sent {
  readonly status: number;
  readonly body: string | Uint8Array;
}

/** Headers that say what the body is. All others belong to the request that was answered. */
export const BODY_HEADERS = [
  'content-type',
  'content-language',
  'content-disposition',
  'content-encoding',
  'content-location',
  'cache-control',
  'last-modified',
  'link',
  'expires',
] as const;

export function storedAnswer(
  { status, body }: Sent,
  facts: { headers: StoredAnswer['headers']; etag: string; at: number },
): StoredAnswer {
  const text = typeof body === 'string';
  return {
    http: 1,
    status,
    headers: facts.headers,
    body: text ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'),
    encoding: text ? 'utf8' : 'latin1',
    length: lengthOf(body),
    etag: facts.etag,
    at: facts.at,
  };
}

export function lengthOf(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}

/** Strong: equal tags are equal bytes of the same representation, and two users never have the same tag. */
export function etagOf({ status, body }: Sent, key: string): string {
  const digest = createHash('sha256').update(`${status}\n${key}\n`).update(body).digest('base64url');
  return `"${digest.slice(0, 27)}"`;
}

/** What comes out of Redis is not trusted to be what went in. */
export function isStoredAnswer(value: unknown): value is StoredAnswer {
  if (typeof value !== 'object' || value === null) return false;
  const answer = value as Partial<Record<keyof StoredAnswer, unknown>>;
  return (
    answer.http === 1 &&
    typeof answer.status === 'number' &&
    typeof answer.body === 'string' &&
    typeof answer.etag === 'string' &&
    typeof answer.length === 'number' &&
    typeof answer.at === 'number' &&
    (answer.encoding === 'utf8' || answer.encoding === 'latin1') &&
    Array.isArray(answer.headers)
  );
}
