/**
 * Finds a real Redis or Valkey server for the tests: REDIS_SERVER → PATH → Debian's package in a cache folder → Docker →
 * one clear error. There is no silent skip: a machine without a server fails the run and says what to do.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { unpackDebianServer } from './debian-packages.js';

const run = promisify(execFile);

const SERVER_NAMES = ['redis-server', 'valkey-server'];
const IMAGE = 'redis:7.2-bookworm';

interface Versioned {
  /** Major and minor, to leave out settings an older server refuses. */
  readonly version: readonly [major: number, minor: number];
}

interface NativeServer extends Versioned {
  readonly kind: 'native';
  readonly origin: 'REDIS_SERVER' | 'PATH' | 'debian';
  readonly server: string;
  /** `redis-cli` or `valkey-cli`, when it lies beside the server. */
  readonly cli: string | undefined;
  /** What server and cli need in their environment to run. */
  readonly environment: Readonly<Record<string, string>>;
}

interface DockerServer extends Versioned {
  readonly kind: 'docker';
  readonly image: string;
}

export type ServerBinary = NativeServer | DockerServer;

interface Candidate {
  readonly origin: NativeServer['origin'];
  readonly server: string;
  readonly libraries?: Readonly<Record<string, string>>;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'ENOENT' && 'path' in error) return `${String(error.path)} not found`;
  const output = 'stderr' in error ? String(error.stderr).trim() : '';
  const line = (output === '' ? error.message : output).split('\n').find((text) => !text.startsWith('W:'));
  return (line ?? error.message).trim();
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function onPath(names: readonly string[], environment: NodeJS.ProcessEnv): Promise<string[]> {
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const files = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const executable = await Promise.all(files.map(isExecutable));
  return files.filter((_, index) => executable[index]);
}

function parseVersion(text: string): Versioned['version'] {
  const [, major, minor] = /\bv=(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) throw new Error(`"${text.trim()}" names no version`);
  return [Number(major), Number(minor)];
}

/** Proves that the candidate runs here: a binary of another libc or with missing libraries is no server. */
async function probe(
  { origin, server, libraries = {} }: Candidate,
  environment: NodeJS.ProcessEnv,
): Promise<NativeServer> {
  const { stdout } = await run(server, ['--version'], { env: { ...environment, ...libraries } });
  const cli = join(dirname(server), server.endsWith('valkey-server') ? 'valkey-cli' : 'redis-cli');
  const version = parseVersion(stdout);
  const found = (await isExecutable(cli)) ? cli : undefined;
  return { kind: 'native', origin, server, cli: found, environment: libraries, version };
}

async function writableFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
    // In the shared temp folder somebody else may have made a folder of this name: never run binaries out of it.
    return (await stat(folder)).uid === process.getuid?.();
  } catch {
    return false;
  }
}

async function cacheFolder(environment: NodeJS.ProcessEnv): Promise<string> {
  const home = environment['HOME'] ?? homedir();
  const cache = environment['XDG_CACHE_HOME'] ?? join(home, '.cache');
  const temporary = join(
    environment['TMPDIR'] ?? tmpdir(),
    `anbar-redis-server-${process.getuid?.() ?? 'user'}`,
  );
  for (const folder of [join(cache, 'anbar', 'redis-server'), temporary]) {
    if (await writableFolder(folder)) return folder;
  }
  throw new Error(`neither ${cache} nor ${temporary} is a writable folder of this user`);
}

async function fromDebian(environment: NodeJS.ProcessEnv): Promise<NativeServer> {
  if ((await onPath(['apt-get'], environment)).length === 0) throw new Error('apt-get not found');
  const unpacked = await unpackDebianServer(await cacheFolder(environment), { ...environment, LC_ALL: 'C' });
  const libraries = { LD_LIBRARY_PATH: unpacked.libraryPath };
  return probe({ origin: 'debian', server: unpacked.server, libraries }, environment);
}

async function fromDocker(environment: NodeJS.ProcessEnv): Promise<DockerServer> {
  await run('docker', ['info'], { env: environment, timeout: 10_000 });
  const { stdout } = await run('docker', ['run', '--rm', IMAGE, 'redis-server', '--version'], {
    env: environment,
  });
  return { kind: 'docker', image: IMAGE, version: parseVersion(stdout) };
}

async function fromPath(environment: NodeJS.ProcessEnv): Promise<NativeServer> {
  const found = await onPath(SERVER_NAMES, environment);
  let reason = `no ${SERVER_NAMES.join(' or ')}`;
  for (const server of found) {
    try {
      return await probe({ origin: 'PATH', server }, environment);
    } catch (error) {
      reason = `${server} does not run: ${reasonOf(error)}`;
    }
  }
  throw new Error(reason);
}

/** The first server that runs, in the order of the file's head. Reads nothing but the given environment. */
export async function findServerBinary(environment: NodeJS.ProcessEnv = process.env): Promise<ServerBinary> {
  const chosen = environment['REDIS_SERVER'];
  if (chosen !== undefined && chosen !== '') {
    return probe({ origin: 'REDIS_SERVER', server: chosen }, environment).catch((error: unknown) => {
      throw new Error(
        `REDIS_SERVER=${chosen} does not run (${reasonOf(error)}): name a redis-server or valkey-server file, or unset it.`,
        { cause: error },
      );
    });
  }
  const reasons: string[] = [];
  const ways = { PATH: fromPath, "Debian's package": fromDebian, Docker: fromDocker };
  for (const [name, find] of Object.entries(ways)) {
    try {
      return await find(environment);
    } catch (error) {
      reasons.push(`${name} (${reasonOf(error)})`);
    }
  }
  throw new Error(
    `No Redis server for the tests: tried REDIS_SERVER (not set), ${reasons.join(', ')}; ` +
      'install redis-server or valkey-server, or set REDIS_SERVER to its path.',
  );
}

let found: Promise<ServerBinary> | undefined;

/** {@link findServerBinary} for this process's environment, searched once. */
export function serverBinary(): Promise<ServerBinary> {
  found ??= findServerBinary();
  return found;
}
