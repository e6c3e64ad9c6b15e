/**
 * Debian's Redis packages unpacked into a cache folder: needs no root, installs nothing system-wide. Binaries run from
 * there with `LD_LIBRARY_PATH`; libraries the machine lacks are unpacked beside them.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PACKAGES = ['redis-server', 'redis-tools'];
/** A library may itself need libraries; the deepest chain seen is 2. */
const LIBRARY_ROUNDS = 5;

export interface UnpackedServer {
  readonly server: string;
  readonly cli: string;
  readonly libraryPath: string;
}

interface Unpacking {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Debian names library packages after the soname: libjemalloc.so.2 → libjemalloc2, liblua5.1.so.0 → liblua5.1-0. */
export function packagesOfLibrary(soname: string): string[] {
  const lua = /^liblua5\.\d-(cjson|bitop)\.so/.exec(soname);
  if (lua) return [`lua-${lua[1]}`];
  const [, stem = soname, major = ''] = /^(.+)\.so\.?(.*)$/.exec(soname) ?? [];
  const base = stem === 'libcrypto' ? 'libssl' : stem.toLowerCase().replaceAll('_', '-');
  const name = /\d$/.test(base) && major !== '' ? `${base}-${major}` : `${base}${major}`;
  // Debian 13 renamed libraries that changed with 64-bit time_t.
  return [name, `${name}t64`];
}

async function download({ folder, environment }: Unpacking, packages: readonly string[]): Promise<void> {
  const state = join(folder, 'apt');
  const own = ['-o', `Dir::State=${join(state, 'state')}`, '-o', `Dir::Cache=${join(state, 'cache')}`];
  const options = { cwd: folder, env: environment };
  try {
    await run('apt-get', ['download', ...packages], options);
  } catch {
    // A fresh machine has no package lists, and only root may fetch them for the system: fetch a private copy.
    await mkdir(join(state, 'state', 'lists', 'partial'), { recursive: true });
    await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', ...packages], options);
  }
}

async function unpack(work: Unpacking, packages: readonly string[]): Promise<void> {
  await download(work, packages);
  const archives = (await readdir(work.folder)).filter((name) => name.endsWith('.deb'));
  for (const archive of archives) {
    const file = join(work.folder, archive);
    await run('dpkg', ['-x', file, join(work.folder, 'root')], { env: work.environment });
    await rm(file);
  }
}

async function libraryPath(folder: string): Promise<string> {
  const library = join(folder, 'root', 'usr', 'lib');
  const entries = await readdir(library).catch(() => []);
  return [
    library,
    ...entries.filter((name) => name.includes('-linux-')).map((name) => join(library, name)),
  ].join(':');
}

async function missingLibraries({ folder, environment }: Unpacking): Promise<string[]> {
  const env = { ...environment, LD_LIBRARY_PATH: await libraryPath(folder) };
  const missing = new Set<string>();
  for (const name of ['redis-server', 'redis-cli']) {
    const { stdout } = await run('ldd', [join(folder, 'root', 'usr', 'bin', name)], { env });
    for (const [, soname] of stdout.matchAll(/^\s*(\S+) => not found/gm)) if (soname) missing.add(soname);
  }
  return [...missing];
}

async function unpackLibraries(work: Unpacking): Promise<void> {
  for (let round = 0; round < LIBRARY_ROUNDS; round += 1) {
    const missing = await missingLibraries(work);
    if (missing.length === 0) return;
    for (const soname of missing) {
      const [first = soname, second] = packagesOfLibrary(soname);
      await unpack(work, [first]).catch((error: unknown) => {
        if (second === undefined) throw error;
        return unpack(work, [second]);
      });
    }
  }
  throw new Error(`the libraries ${(await missingLibraries(work)).join(', ')} are still missing`);
}

async function described(folder: string): Promise<UnpackedServer | undefined> {
  const server = join(folder, 'root', 'usr', 'bin', 'redis-server');
  const exists = await access(server).then(
    () => true,
    () => false,
  );
  if (!exists) return undefined;
  return {
    server,
    cli: join(folder, 'root', 'usr', 'bin', 'redis-cli'),
    libraryPath: await libraryPath(folder),
  };
}

/** Binaries of another release or processor do not run here, so each has a folder of its own. */
async function releaseName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}="?([\\w.-]+)`, 'm').exec(text)?.[1] ?? 'unknown';
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`;
}

/** The server out of the cache folder, downloaded first when it is not there yet. */
export async function unpackDebianServer(
  cacheFolder: string,
  environment: NodeJS.ProcessEnv,
): Promise<UnpackedServer> {
  const target = join(cacheFolder, await releaseName());
  const cached = await described(target);
  if (cached) return cached;
  // Only a complete folder ever gets the target's name: several first runs at once each fill a sibling, one wins.
  const sibling = `${target}.${randomUUID()}`;
  try {
    await mkdir(sibling);
    const work = { folder: sibling, environment };
    await unpack(work, PACKAGES);
    await unpackLibraries(work);
    await rm(join(sibling, 'apt'), { recursive: true, force: true });
    await rename(sibling, target).catch(async (error: unknown) => {
      if ((await described(target)) === undefined) throw error;
    });
  } finally {
    await rm(sibling, { recursive: true, force: true });
  }
  const unpacked = await described(target);
  if (unpacked === undefined) throw new Error('the packages hold no usr/bin/redis-server');
  return unpacked;
}

/** A program out of a package of its own, from the cache folder; for those that need nothing but the C library. */
export async function unpackDebianProgram(
  cacheFolder: string,
  { name, file }: { readonly name: string; readonly file: string },
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const target = join(cacheFolder, await releaseName());
  const program = join(target, 'root', file);
  const isThere = (): Promise<boolean> =>
    access(program).then(
      () => true,
      () => false,
    );
  if (await isThere()) return program;
  const sibling = `${target}.${randomUUID()}`;
  try {
    await mkdir(sibling, { recursive: true });
    await unpack({ folder: sibling, environment }, [name]);
    await rm(join(sibling, 'apt'), { recursive: true, force: true });
    await rename(sibling, target).catch(async (error: unknown) => {
      if (!(await isThere())) throw error;
    });
  } finally {
    await rm(sibling, { recursive: true, force: true });
  }
  return program;
}
