/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out.
 *
 * npm drops an optional package it can not fetch (a mirror without the macOS builds, say) from the lockfile it
 * writes, and `npm ci` then refuses that lockfile on every machine. Such packages are pinned by the one that
 * wants them and named `<what>-<os>-<cpu>[-<abi>]`, so their entries can be written without having seen them; what
 * is missing is the checksum, which the next `npm install` with a full registry fills in.
 * test/structure/house.spec.ts fails when this is to be run: `node scripts/complete-lockfile.mjs`.
 */
import { readFile, writeFile } from 'node:fs/promises';

const FILE = new URL('../package-lock.json', import.meta.url);
const PLATFORM =
  /(?<os>android|darwin|freebsd|linux|openharmony|win32)-(?<cpu>[a-z0-9]+)(?:-(?<abi>[a-z]+))?$/u;

const lockfile = JSON.parse(await readFile(FILE, 'utf8'));
const missing = Object.values(lockfile.packages).flatMap(missingOf);
for (const [path, entry] of missing) lockfile.packages[path] = entry;
lockfile.packages = Object.fromEntries(Object.entries(lockfile.packages).toSorted(byPath));
await writeFile(FILE, `${JSON.stringify(lockfile, null, 2)}\n`);
console.log(`${missing.length} entries added`);

function missingOf({ optionalDependencies = {}, dev, license }) {
  return Object.entries(optionalDependencies)
    .filter(([name]) => !(`node_modules/${name}` in lockfile.packages))
    .map(([name, version]) => [`node_modules/${name}`, entryOf(name, version, { dev, license })]);
}

function entryOf(name, version, { dev, license }) {
  const { os, cpu, abi = '' } = PLATFORM.exec(name)?.groups ?? {};
  if (os === undefined || !/^\d+\.\d+\.\d+/u.test(version))
    throw new Error(`${name}@${version}: no platform package`);
  return {
    version,
    cpu: [cpu],
    ...(dev === true ? { dev } : {}),
    ...(os === 'linux' ? { libc: [abi.startsWith('musl') ? 'musl' : 'glibc'] } : {}),
    ...(license === undefined ? {} : { license }),
    optional: true,
    os: [os],
  };
}

function byPath([one], [other]) {
  return one.localeCompare(other, 'en');
}
