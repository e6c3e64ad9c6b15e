/** Questions the room itself asks a server, past queue, breaker and retry: hand-shake, heartbeat, topology. */
import type { Failure } from './failure.js';
import type { Reply } from './reply.js';
import { Request, type RequestOwner } from './request.js';
import type { Wire } from './wire.js';

const asker: RequestOwner = {
  replied(request: Request, reply: Reply): void {
    request.settled = true;
    request.settle.resolve(reply);
  },
  failed(request: Request, failure: Failure): void {
    request.settled = true;
    request.settle.reject(new Error(failure.message));
  },
};

/** Settles when the answer comes or the wire ends, and not before: whoever asks bounds it. */
export function ask(wire: Wire, name: string, args: readonly string[] = []): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = new Request(asker, name, args, { resolve, reject });
    request.readOnly = true;
    request.idempotent = true;
    wire.send([request]);
  });
}
