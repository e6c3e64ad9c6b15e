/** Secrets planted in logins and values, and the hunt for them in whatever leaves the client: errors, output, telemetry. */
import { inspect } from 'node:util';
import { onTelemetry } from '@anbar/nestjs-redis/core';

export const PLANTED_PASSWORD = 'planted-password-7Qm2xV';
export const PLANTED_VALUE = 'planted-value-c81Zt4';
const PLANTED = [PLANTED_PASSWORD, PLANTED_VALUE];

function holdsSecret(text: string): boolean {
  return PLANTED.some((secret) => text.includes(secret));
}

/** In any of the ways a logger may print it, its causes included. */
export function leaks(thing: unknown): boolean {
  const texts = [inspect(thing, { depth: 12 }), String(thing), asJson(thing)];
  for (let error = thing; error instanceof Error; error = error.cause) {
    texts.push(error.message, error.stack ?? '', asJson(error));
  }
  return texts.some(holdsSecret);
}

function asJson(thing: unknown): string {
  try {
    return JSON.stringify(thing) ?? '';
  } catch {
    return '';
  }
}

type Write = typeof process.stdout.write;

/** Reads along with everything the process prints, warns and publishes. */
export class OutputWatch {
  readonly #stops: (() => void)[] = [];
  #hits = 0;

  constructor() {
    for (const stream of [process.stdout, process.stderr]) this.#tap(stream);
    for (const capability of ['connection', 'pubsub']) {
      this.#stops.push(onTelemetry(capability, (event) => this.#see(JSON.stringify(event))));
    }
    const onWarning = (warning: Error): void => this.#see(inspect(warning));
    process.on('warning', onWarning);
    this.#stops.push(() => process.off('warning', onWarning));
  }

  /** How many pieces of output held a secret. */
  get hits(): number {
    return this.#hits;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #tap(stream: NodeJS.WriteStream): void {
    const write: Write = stream.write.bind(stream);
    const tapped = (...args: Parameters<Write>): boolean => {
      const [chunk] = args;
      this.#see(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1'));
      return write(...args);
    };
    stream.write = tapped as Write;
    this.#stops.push(() => {
      stream.write = write;
    });
  }

  #see(text: string): void {
    if (holdsSecret(text)) this.#hits += 1;
  }
}
