/**
 * One real server process in a folder of its own: started on a reserved port, killed, frozen, restarted, stopped. The
 * topologies are made of these.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { admin, infoFields, type AdminTarget, type Reply } from './admin.js';
import { reservePort, type PortReservation } from './free-port.js';
import { serverBinary, type ServerBinary } from './server-binary.js';
import { makeServerFolder, removeServerFolder } from './server-folders.js';
import { until } from './until.js';

const run = promisify(execFile);

/** Every server has this user, so that a test may rotate passwords and rules without locking its own tools out. */
const ADMIN_USER = 'topology-admin';
const START_TIMEOUT = 10_000;
const START_TRIES = 5;

export interface RedisProcessOptions {
  /** `sentinel` runs the same binary with `--sentinel`. @default 'server' */
  readonly mode?: 'server' | 'sentinel';
  /** Lines of the configuration file, after those every server gets. */
  readonly directives?: readonly string[];
  /** Files to write beside the configuration before the start, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Serve TLS on the port instead of plain TCP; the directives name the certificate files. */
  readonly tls?: NonNullable<AdminTarget['tls']>;
  /** Append every write to disk before it is acknowledged, so that `kill` loses nothing. @default false */
  readonly keepData?: boolean;
  /** The server to run. @default the one that `serverBinary()` finds */
  readonly binary?: ServerBinary;
}

interface Launch {
  readonly binary: ServerBinary;
  readonly folder: string;
  readonly reservation: PortReservation;
  readonly adminPassword: string;
}

function commonDirectives(
  { binary, folder, reservation, adminPassword }: Launch,
  options: RedisProcessOptions,
) {
  const [major] = binary.version;
  const port = options.tls ? ['port 0', `tls-port ${reservation.port}`] : [`port ${reservation.port}`];
  const lines = [...port, 'bind 127.0.0.1', 'protected-mode no', `dir "${folder}"`];
  lines.push(`user ${ADMIN_USER} on >${adminPassword} ~* &* +@all`);
  if (options.mode === 'sentinel') return lines;
  lines.push("save ''", 'repl-diskless-sync yes', 'repl-diskless-sync-delay 0');
  if (options.keepData) lines.push('appendonly yes', 'appendfsync always');
  if (major >= 7) lines.push('enable-debug-command local');
  return lines;
}

function commandLine({ binary, folder }: Launch, options: RedisProcessOptions, container: string): string[] {
  const mode = options.mode === 'sentinel' ? ['--sentinel'] : [];
  const config = join(folder, 'redis.conf');
  if (binary.kind === 'native') return [binary.server, config, ...mode];
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  const sandbox = ['--network', 'host', '--user', user, '--volume', `${folder}:${folder}`];
  return [
    'docker',
    'run',
    '--rm',
    '--name',
    container,
    ...sandbox,
    binary.image,
    'redis-server',
    config,
    ...mode,
  ];
}

/** Rejects when the process ends. */
function failureOf(child: ChildProcess): Promise<never> {
  const failure = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`The server process ended with ${String(code ?? signal)}`);
  });
  failure.catch(() => undefined);
  return failure;
}

export class RedisProcess {
  readonly host = '127.0.0.1';
  readonly #launch: Launch;
  readonly #options: RedisProcessOptions;
  #child: ChildProcess | undefined;
  #container = '';

  private constructor(launch: Launch, options: RedisProcessOptions) {
    this.#launch = launch;
    this.#options = options;
  }

  /** Starts a server and waits until it answers. */
  static async start(options: RedisProcessOptions = {}): Promise<RedisProcess> {
    const binary = options.binary ?? (await serverBinary());
    let cause: unknown;
    // A port is free when it is reserved, but a stranger may take it before the server binds it: then try another.
    for (let attempt = 0; attempt < START_TRIES; attempt += 1) {
      const reservation = await reservePort();
      const launch = { binary, folder: await makeServerFolder(), reservation, adminPassword: randomUUID() };
      const server = new RedisProcess(launch, options);
      try {
        await server.#writeFiles();
        await server.#spawn();
        return server;
      } catch (error) {
        const log = await server.log();
        await server.stop();
        cause = new Error(`The server on port ${reservation.port} did not start. Its log:\n${log}`, {
          cause: error,
        });
        if (!log.includes('Address already in use')) throw cause;
      }
    }
    throw cause;
  }

  get port(): number {
    return this.#launch.reservation.port;
  }

  get folder(): string {
    return this.#launch.folder;
  }

  /** Process id; under Docker that of the `docker run` client. */
  get pid(): number | undefined {
    return this.alive ? this.#child?.pid : undefined;
  }

  /** Whether the process exists; a frozen one does. */
  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What the server wrote to its standard output so far, over all its starts. */
  log(): Promise<string> {
    return readFile(join(this.folder, 'server.log'), 'utf8').catch(() => '');
  }

  /** Sends one command as a user with all rights, over a connection of its own. */
  admin(...args: (string | number | Buffer)[]): Promise<Reply> {
    return admin(this.#target(), ...args);
  }

  /** Fields of INFO, of one section or of the default ones. */
  async info(section?: string): Promise<Readonly<Record<string, string | undefined>>> {
    return infoFields(await (section === undefined ? this.admin('INFO') : this.admin('INFO', section)));
  }

  /** Resolves when the server answers PING, has loaded its data and is ours. */
  async ready(): Promise<void> {
    await until(() => this.#answers(), {
      what: `the server on port ${this.port}`,
      timeout: START_TIMEOUT,
      every: 5,
    });
  }

  /** Ends the process at once and waits until it is gone. Its folder and its port stay reserved for `restart()`. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.alive) return;
    child.ref();
    const gone = once(child, 'exit');
    await this.#signal(signal);
    await gone;
    // The watcher kills by this file; a number that is free again must not stay in it.
    await rm(join(this.folder, 'pid'), { force: true });
  }

  /** Stops the process without closing a connection (SIGSTOP): clients see a server that says nothing. */
  freeze(): Promise<void> {
    return this.#signal('SIGSTOP');
  }

  thaw(): Promise<void> {
    return this.#signal('SIGCONT');
  }

  /** Kills the process if it lives and starts it again on the same port, with what it had on disk or with nothing. */
  async restart(data: 'keepData' | 'empty'): Promise<void> {
    if (data === 'keepData' && !this.#options.keepData) {
      throw new Error(`The server on port ${this.port} keeps no data: start it with { keepData: true }`);
    }
    await this.kill();
    if (data === 'empty') {
      for (const name of ['appendonlydir', 'appendonly.aof', 'dump.rdb']) {
        await rm(join(this.folder, name), { recursive: true, force: true });
      }
    }
    await this.#spawn();
  }

  /** Ends the process for good: no process, folder or reserved port is left. */
  async stop(): Promise<void> {
    await this.kill();
    await removeServerFolder(this.folder);
    this.#launch.reservation.release();
  }

  #target(): AdminTarget {
    const { tls } = this.#options;
    const login = { port: this.port, username: ADMIN_USER, password: this.#launch.adminPassword };
    return tls === undefined ? login : { ...login, tls };
  }

  async #answers(): Promise<boolean> {
    if (!this.alive) return false;
    if ((await this.admin('PING')) !== 'PONG') return false;
    const { config_file: config } = await this.info('server');
    if (config === join(this.folder, 'redis.conf')) return true;
    throw new Error(`Port ${this.port} is answered by another server (${config})`);
  }

  async #writeFiles(): Promise<void> {
    const { directives = [], files = {} } = this.#options;
    const lines = [...commonDirectives(this.#launch, this.#options), ...directives];
    for (const [name, text] of Object.entries(files))
      await writeFile(join(this.folder, name), text, { mode: 0o600 });
    await writeFile(join(this.folder, 'redis.conf'), `${lines.join('\n')}\n`);
  }

  async #spawn(): Promise<void> {
    const { binary } = this.#launch;
    this.#container = `anbar-topology-${randomUUID()}`;
    if (binary.kind === 'docker') await writeFile(join(this.folder, 'container'), this.#container);
    const command = commandLine(this.#launch, this.#options, this.#container);
    const log = await open(join(this.folder, 'server.log'), 'a');
    let failed: Promise<never>;
    try {
      const child = spawn('/bin/sh', ['-c', 'echo $$ > pid && exec "$@"', 'sh', ...command], {
        cwd: this.folder,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { ...process.env, ...(binary.kind === 'native' ? binary.environment : {}) },
      });
      this.#child = child;
      child.unref();
      // Watched at once: a server that refuses its configuration may be gone before the log is closed here.
      failed = failureOf(child);
    } finally {
      await log.close();
    }
    await Promise.race([this.ready(), failed]);
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    if (!this.alive) return;
    if (this.#launch.binary.kind === 'native') this.#child?.kill(signal);
    else await run('docker', ['kill', '--signal', signal, this.#container]);
  }
}
