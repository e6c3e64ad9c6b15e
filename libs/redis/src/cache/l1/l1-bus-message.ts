/** What processes tell each other on the bus, as text. */

export type BusMessage =
  /** These keys were changed by `origin`; it counts what it tells. */
  | { readonly kind: 'changed'; readonly origin: string; readonly count: number; readonly keys: string[] }
  /** `origin` is there and has told `count` times; its own beats have numbers of their own. */
  | { readonly kind: 'beat'; readonly origin: string; readonly count: number; readonly beat: number }
  /** `origin` leaves and will tell nothing more. */
  | { readonly kind: 'leaving'; readonly origin: string; readonly count: number };

/** Another form is another number, and is not understood by those who know only this one. */
const VERSION = '1';
const FORM = /^1 (?<kind>changed|beat|leaving) (?<origin>[\w-]{8,32}) (?<count>\d{1,15})(?: (?<rest>.*))?$/su;

export function writeBusMessage(message: BusMessage): string {
  const head = `${VERSION} ${message.kind} ${message.origin} ${message.count}`;
  if (message.kind === 'changed') return `${head} ${JSON.stringify(message.keys)}`;
  return message.kind === 'beat' ? `${head} ${message.beat}` : head;
}

/** Undefined for what is not understood: of another version, or published by hand. */
export function readBusMessage(text: string): BusMessage | undefined {
  const { kind, origin = '', count: digits, rest = '' } = FORM.exec(text)?.groups ?? {};
  const count = Number(digits);
  if (kind === 'leaving') return { kind, origin, count };
  if (kind === 'beat') {
    return /^\d{1,15}$/u.test(rest) ? { kind, origin, count, beat: Number(rest) } : undefined;
  }
  const keys = kind === 'changed' ? keysIn(rest) : undefined;
  return keys === undefined ? undefined : { kind: 'changed', origin, count, keys };
}

function keysIn(json: string): string[] | undefined {
  try {
    const keys: unknown = JSON.parse(json);
    return Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? keys : undefined;
  } catch {
    return undefined;
  }
}
