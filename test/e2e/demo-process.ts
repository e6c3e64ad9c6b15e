/** The demo as a process of its own, as somebody who cloned the repository runs it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../topology/index.js';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

/** What `npm start` builds first. The compiler itself sees what has changed; with nothing changed it takes a second. */
export async function build(): Promise<void> {
  const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
  const projects = ['libs/redis/tsconfig.build.json', 'tsconfig.build.json'];
  try {
    await promisify(execFile)(process.execPath, [tsc, '-b', ...projects], { cwd: REPOSITORY });
  } catch (error) {
    // The compiler complains on its standard output.
    throw new Error(`the build failed: ${String(Reflect.get(Object(error), 'stdout'))}`, { cause: error });
  }
}

export interface Ended {
  readonly code: number | null;
  readonly ms: number;
}

export class DemoProcess {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
  }

  /** Runs a file of the build, with nothing of the caller's settings in its environment. Whoever starts it ends it. */
  static start(args: readonly string[], env: Readonly<Record<string, string>> = {}): DemoProcess {
    const own = Object.entries(process.env).filter(
      ([name]) => !/^(?:REDIS_|DEMO_|NODE_ENV$|VITEST)/u.test(name),
    );
    const child = spawn(process.execPath, [...args], {
      cwd: REPOSITORY,
      env: { ...Object.fromEntries(own), PORT: '0', DEMO_DATABASE: ':memory:', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new DemoProcess(child);
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output;
  }

  /** Where it answers, once it says so. */
  async url(): Promise<string> {
    const found = () => {
      if (this.#child.exitCode !== null) throw new Error(`the demo ended: ${this.#output}`);
      return /Anbar demo: (http:\S+)/u.exec(this.#output)?.[1];
    };
    return until(found, { what: 'the demo to say where it answers', timeout: 100_000 });
  }

  interrupt(): Promise<Ended> {
    const ended = this.ended();
    this.#child.kill('SIGINT');
    return ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async ended(): Promise<Ended> {
    const from = performance.now();
    const code =
      this.#child.exitCode ??
      ((await once(this.#child, 'close')) as [number | null, NodeJS.Signals | null])[0];
    return { code, ms: performance.now() - from };
  }
}
