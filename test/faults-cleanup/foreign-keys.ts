/** Keys of other applications, so many that a clean-up is a needle's way, and the proof that none of them was touched. */
import { connect, type Socket } from 'node:net';
import { admin } from '../topology/index.js';

/** In one call; the server does it, as a million of commands would keep the test busy for minutes. */
const BATCH = 20_000;
const PATIENT_MS = 60_000;

const PLANT = `
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local key = 'foreign:' .. i
  if i % 7 == 0 then redis.call('HSET', key, 'field', i)
  elseif i % 11 == 0 then redis.call('RPUSH', key, i)
  elseif i % 3 == 0 then redis.call('SET', key, 'value ' .. i, 'PX', 864000000 + i)
  else redis.call('SET', key, 'value ' .. i) end
end
return 1`;

/** Of every foreign key: its content as the server writes it down, and the moment of its expiry. */
const DIGEST = `
local sum = ARGV[3]
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local key = 'foreign:' .. i
  sum = redis.sha1hex(sum .. (redis.call('DUMP', key) or '-') .. redis.call('PEXPIRETIME', key))
end
return sum`;

/** Strings, hashes and lists, a quarter of them with an expiry of days. */
export async function plantForeign(port: number, count: number): Promise<void> {
  await inSteps(count, (from, to) => admin({ port, timeout: PATIENT_MS }, 'EVAL', PLANT, 0, from, to));
}

export async function digestForeign(port: number, count: number): Promise<string> {
  let sum = '';
  await inSteps(count, async (from, to) => {
    sum = String(await admin({ port, timeout: PATIENT_MS }, 'EVAL', DIGEST, 0, from, to, sum));
  });
  return sum;
}

async function inSteps(count: number, step: (from: number, to: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += BATCH) await step(from, Math.min(count, from + BATCH) - 1);
}

/** Everything that is sent to a server, by whomever, while it listens. */
export class Monitor {
  readonly #socket: Socket;
  #text = '';
  #bytes = 0;
  /** Commands by their name. */
  readonly counts = new Map<string, number>();
  /** The first commands that name a foreign key. */
  readonly touching: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => this.#read(text));
  }

  static async on(port: number): Promise<Monitor> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const monitor = new Monitor(socket);
    socket.write('MONITOR\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    return monitor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#bytes += text.length;
    const lines = (this.#text + text).split('\r\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const [, name] = /\] "([^"]*)"/u.exec(line) ?? [];
      if (name === undefined) continue;
      const command = name.toUpperCase();
      this.counts.set(command, (this.counts.get(command) ?? 0) + 1);
      if (line.includes('"foreign:') && this.touching.length < 5) this.touching.push(line);
    }
  }
}
