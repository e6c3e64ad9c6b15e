/** The fault proxy on the command line: `node test/topology/fault-proxy.mjs <port> [<listen port>]`, faults on stdin. */
import { createInterface } from 'node:readline';
import { FaultProxy, startFaultProxy, type Direction } from './fault-proxy.js';

const DIRECTIONS: readonly (Direction | 'both')[] = ['toServer', 'toClient', 'both'];

const ENDS: readonly ('rst' | 'fin')[] = ['rst', 'fin'];
const LIMITS: readonly ('command' | 'total')[] = ['command', 'total'];

interface Command {
  /** Arguments as the help shows them; those in brackets may be left out. */
  readonly usage: string;
  readonly run: (proxy: FaultProxy, args: readonly string[]) => unknown;
}

function oneOf<T extends string>(value: string | undefined, allowed: readonly T[]): T {
  const match = allowed.find((candidate) => candidate === value);
  if (match === undefined) throw new Error(`expected ${allowed.join(', ')}, not ${value ?? 'nothing'}`);
  return match;
}

function count(value: string | undefined, otherwise?: number): number {
  const number = value === undefined ? otherwise : Number(value);
  if (number === undefined || !Number.isInteger(number) || number < 0) {
    throw new Error(`expected a whole number, not ${value ?? 'nothing'}`);
  }
  return number;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  pass: { usage: '', run: (proxy) => proxy.pass() },
  latency: {
    usage: '<ms> [<jitter ms>]',
    run: (proxy, [ms, jitter]) => proxy.latency(count(ms), count(jitter, 0)),
  },
  blackhole: {
    usage: '[toServer | toClient | both]',
    run: (proxy, [direction = 'both']) => proxy.blackhole(oneOf(direction, DIRECTIONS)),
  },
  swallow: { usage: '[<replies>]', run: (proxy, [replies]) => proxy.swallow(count(replies, 1)) },
  'swallow-then-reset': { usage: '', run: (proxy) => proxy.swallowThenReset() },
  cut: {
    usage: '<bytes> [rst | fin]',
    run: (proxy, [bytes, end = 'rst']) => proxy.cut(count(bytes), oneOf(end, ENDS)),
  },
  rst: { usage: '', run: (proxy) => proxy.rst() },
  'half-open': { usage: '', run: (proxy) => proxy.halfOpen() },
  slice: {
    usage: '<bytes> [<ms between>]',
    run: (proxy, [size, every]) => proxy.slice(Math.max(1, count(size)), count(every, 0)),
  },
  limit: {
    usage: '<bytes> [command | total]',
    run: (proxy, [bytes, per = 'command']) => proxy.limit(count(bytes), oneOf(per, LIMITS)),
  },
  'accept-then-close': { usage: '', run: (proxy) => proxy.acceptThenClose() },
  refuse: { usage: '', run: (proxy) => proxy.refuse() },
  stats: { usage: '', run: (proxy) => JSON.stringify(proxy.stats) },
};

function help(): string {
  return ['commands:', ...Object.entries(COMMANDS).map(([name, { usage }]) => `  ${name} ${usage}`)].join(
    '\n',
  );
}

/** Runs one line such as `latency 50 10` and resolves with what to print. */
export async function applyCommand(proxy: FaultProxy, line: string): Promise<string> {
  const [name = '', ...args] = line.trim().split(/\s+/);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return name === 'help' ? help() : `unknown command "${name}"; ${help()}`;
  try {
    const answer: unknown = await command.run(proxy, args);
    return typeof answer === 'string' ? answer : 'ok';
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Runs a proxy until the input ends. `args` are the server's port and, if it matters, the port to listen on. */
export async function runFaultProxy(args: readonly string[], input: NodeJS.ReadableStream): Promise<void> {
  const [to, listen] = args;
  if (to === undefined) throw new Error('usage: node test/topology/fault-proxy.mjs <port> [<listen port>]');
  const proxy = await startFaultProxy({
    to: { port: count(to) },
    ...(listen === undefined ? {} : { listen: count(listen) }),
  });
  console.log(`listening on ${proxy.host}:${proxy.port}; "help" lists the commands`);
  for await (const line of createInterface({ input })) console.log(await applyCommand(proxy, line));
  await proxy.stop();
}
