/** Reads server-sent events as they come. */
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';
import { until } from '../topology/index.js';

interface StreamEvent {
  readonly id: string;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventReader {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly events: readonly StreamEvent[];
  /** When the server has ended it. */
  readonly ended: Promise<void>;
  /** The first event of that name. */
  next(name: string): Promise<Readonly<Record<string, unknown>>>;
  close(): void;
}

export async function listen(url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers, agent: false }, resolve).once('error', reject);
  });
  let text = '';
  const events: StreamEvent[] = [];
  let rest = '';
  response.setEncoding('utf8');
  response.on('data', (part: string) => {
    text += part;
    const blocks = (rest + part).split('\n\n');
    rest = blocks.pop() ?? '';
    events.push(...blocks.flatMap(eventOf));
  });
  const ended = new Promise<void>((resolve) => {
    response.once('close', resolve);
  });
  // Closed by whoever reads it: an error is expected then.
  response.on('error', () => undefined);
  const close = (): void => void response.destroy();
  onTestFinished(close);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    get text() {
      return text;
    },
    events,
    ended,
    next: async (name) =>
      (await until(() => events.find((event) => event.name === name), { what: `an event '${name}'` })).data,
    close,
  };
}

function eventOf(block: string): StreamEvent[] {
  const fields = new Map(
    block.split('\n').map((line): [string, string] => {
      const at = line.indexOf(': ');
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return [];
  const parsed = JSON.parse(data) as Record<string, unknown>;
  return [{ id: fields.get('id') ?? '', name: fields.get('event') ?? '', data: parsed }];
}
