import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packagesOfLibrary } from './debian-packages.js';
import { findServerBinary } from './server-binary.js';

let root: string;
/** The machine as the finder sees it: only what a test puts into this folder is on it. */
let bin: string;
let environment: NodeJS.ProcessEnv;

async function script(file: string, body: string): Promise<string> {
  await writeFile(file, `#!/bin/sh\n${body}\n`);
  await chmod(file, 0o755);
  return file;
}

const put = (name: string, body: string) => script(join(bin, name), body);
const server = (version: string) => `echo "Redis server v=${version} sha=00000000:0"`;

/** apt-get, dpkg and ldd as far as the finder uses them; every download is noted in a file. */
async function putDebian(): Promise<void> {
  for (const tool of ['cat', 'chmod', 'mkdir', 'touch']) await symlink(`/bin/${tool}`, join(bin, tool));
  await put('apt-get', `for name in "$@"; do echo "$name" >> ${root}/asked; touch "$name.deb"; done`);
  await put(
    'dpkg',
    `case "\${2##*/}" in
      *redis-server*) mkdir -p "$3/usr/bin"
        for name in redis-server redis-cli; do
          printf '#!/bin/sh\\necho "Redis server v=7.0.15 sha=0"\\n' > "$3/usr/bin/$name"; chmod 755 "$3/usr/bin/$name"
        done ;;
      *libjemalloc2*) mkdir -p "$3/usr/lib/x86_64-linux-gnu"; touch "$3/usr/lib/x86_64-linux-gnu/libjemalloc.so.2" ;;
    esac`,
  );
  await put(
    'ldd',
    `case "$LD_LIBRARY_PATH" in
      *x86_64-linux-gnu*) echo "libjemalloc.so.2 => here" ;;
      *) echo "	libjemalloc.so.2 => not found" ;;
    esac`,
  );
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'anbar-finder-'));
  bin = join(root, 'bin');
  await mkdir(bin);
  environment = { PATH: bin, XDG_CACHE_HOME: join(root, 'cache'), TMPDIR: root };
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('findServerBinary', () => {
  it('takes REDIS_SERVER before anything else', async () => {
    await put('redis-server', server('7.2.0'));
    const chosen = await script(join(root, 'mine'), server('8.1.3'));
    const found = await findServerBinary({ ...environment, REDIS_SERVER: chosen });
    expect(found).toMatchObject({ origin: 'REDIS_SERVER', server: chosen, version: [8, 1] });
  });

  it('does not pass over a REDIS_SERVER that does not run', async () => {
    await put('redis-server', server('7.2.0'));
    const find = findServerBinary({ ...environment, REDIS_SERVER: join(root, 'nothing') });
    await expect(find).rejects.toThrow(
      /^REDIS_SERVER=\S+ does not run \(.+ not found\): name a .+ file, or unset it\.$/,
    );
  });

  it('takes redis-server from PATH before valkey-server, with the cli beside it', async () => {
    await put('valkey-server', 'echo "Valkey server v=8.0.1 sha=0"');
    const valkey = await findServerBinary(environment);
    expect(valkey).toMatchObject({ origin: 'PATH', server: join(bin, 'valkey-server'), cli: undefined });
    await put('redis-server', server('7.2.0'));
    const cli = await put('redis-cli', '');
    expect(await findServerBinary(environment)).toMatchObject({ server: join(bin, 'redis-server'), cli });
  });

  it('goes on from a server on PATH that does not run', async () => {
    await put('redis-server', 'echo "libfoo.so.1: cannot open shared object file" >&2; exit 127');
    await put('valkey-server', 'echo "Valkey server v=8.0.1 sha=0"');
    expect(await findServerBinary(environment)).toMatchObject({ server: join(bin, 'valkey-server') });
  });

  it('takes Docker last, and only when its daemon answers', async () => {
    await put('docker', `[ "$1" = info ] || ${server('7.2.5')}`);
    expect(await findServerBinary(environment)).toMatchObject({ kind: 'docker', version: [7, 2] });
    await put('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
    await expect(findServerBinary(environment)).rejects.toThrow(
      'Docker (Cannot connect to the Docker daemon)',
    );
  });

  it('says in one sentence what it tried and what to do', async () => {
    await expect(findServerBinary(environment)).rejects.toThrow(
      "No Redis server for the tests: tried REDIS_SERVER (not set), PATH (no redis-server or valkey-server), Debian's package " +
        '(apt-get not found), Docker (docker not found); install redis-server or valkey-server, or set REDIS_SERVER to its path.',
    );
  });
});

describe("Debian's package", () => {
  it('is unpacked with the libraries it misses, once', async () => {
    await putDebian();
    const found = await findServerBinary(environment);
    expect(found).toMatchObject({ kind: 'native', origin: 'debian', version: [7, 0] });
    expect(JSON.stringify(found)).toContain('LD_LIBRARY_PATH');
    await put('apt-get', 'exit 1');
    expect(await findServerBinary(environment)).toEqual(found);
  });

  it('is whole after several first runs at once, with nothing beside it', async () => {
    await putDebian();
    const found = await Promise.all(Array.from({ length: 5 }, () => findServerBinary(environment)));
    expect(new Set(found.map((binary) => JSON.stringify(binary))).size).toBe(1);
    expect(await readdir(join(root, 'cache', 'anbar', 'redis-server'))).toHaveLength(1);
  });

  it('lies in the temporary folder when home is not writable', async () => {
    await putDebian();
    const found = await findServerBinary({ PATH: bin, HOME: '/dev/null', TMPDIR: root });
    expect(found).toMatchObject({ origin: 'debian' });
    expect('server' in found ? found.server : '').toContain(join(root, 'anbar-redis-server-'));
  });

  it('comes from package lists of its own when the machine has none', async () => {
    await putDebian();
    await put(
      'apt-get',
      `case "$*" in
        *Dir::State=*update*) touch ${root}/updated ;;
        *Dir::State=*) for name in "$@"; do touch "$name.deb"; done 2> /dev/null ;;
        *) echo "E: Unable to locate package redis-server" >&2; exit 100 ;;
      esac`,
    );
    expect(await findServerBinary(environment)).toMatchObject({ origin: 'debian' });
    expect(await readdir(root)).toContain('updated');
  });

  it('leaves no half-made folder and gives the reason when it fails', async () => {
    await put('apt-get', 'echo "E: Unable to locate package redis-server" >&2; exit 100');
    const reason = "Debian's package (E: Unable to locate package redis-server)";
    await expect(findServerBinary(environment)).rejects.toThrow(reason);
    expect(await readdir(join(root, 'cache', 'anbar', 'redis-server'))).toEqual([]);
  });

  it.each([
    ['libjemalloc.so.2', 'libjemalloc2'],
    ['liblzf.so.1', 'liblzf1'],
    ['libatomic.so.1', 'libatomic1'],
    ['liblua5.1.so.0', 'liblua5.1-0'],
    ['liblua5.1-cjson.so.0', 'lua-cjson'],
    ['liblua5.1-bitop.so.0', 'lua-bitop'],
    ['libhiredis.so.0.14', 'libhiredis0.14'],
    ['libssl.so.3', 'libssl3'],
    ['libcrypto.so.3', 'libssl3'],
    ['libsystemd.so.0', 'libsystemd0'],
  ])('finds the library %s in %s', (soname, name) => {
    expect(packagesOfLibrary(soname)[0]).toBe(name);
  });
});
