/**
 * `npm run packaging`: what users will get, looked at from their side.
 *
 * Builds the library into a temporary folder (so no stale file of an older build gets in), packs it, and then
 *   1. holds the tarball's file list against what belongs there,
 *   2. has publint (strict) and attw (ESM only) read the tarball,
 *   3. installs it into empty Nest projects (ESM, CommonJS through require(esm), and ESM on the Nest before),
 *      and boots each on this Node and on every later one that is supported.
 * Every part is run even if one before it failed; the exit code tells.
 */
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const LIBRARY = join(REPOSITORY, 'libs/redis');
const CONSUMERS = join(REPOSITORY, 'scripts/packaging');
const ALWAYS = ['package.json', 'README.md', 'LICENSE'];
/** What `nest add` reads before it runs dist/schematics. */
const SCHEMATICS = ['schematics/collection.json', 'schematics/schema.json'];
const BUILT = /^dist\/(?<source>(?:src|testing|schematics)\/.+?)(?:\.d\.ts|\.js|\.js\.map)$/u;
/** The files of the console's page. */
const ASSETS = 'assets';
/** What `nest new` puts into a project; everything else has to come with the tarball or as its peer. */
const NEST_PROJECT = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'];
/** Besides the one this runs on, which CI keeps at the oldest that is supported. */
const LATER_NODES = [22, 24, 26];

const temporary = await mkdtemp(join(tmpdir(), 'anbar-packaging-'));
try {
  const { tarball, files } = await pack();
  const manifest = await readJson(join(LIBRARY, 'package.json'));
  await part('file list', () => checkFiles(files, manifest));
  await part('publint', () => checkWithPublint(tarball));
  await part('attw', () => checkWithAttw(tarball));
  await part('install scripts', () => checkScripts(manifest));
  await part('boot, ESM', () => boot(tarball, 'main.mjs', { type: 'module' }));
  await part('boot, CommonJS', () => boot(tarball, 'main.cjs', { type: 'commonjs' }));
  await part('boot, Nest 11', () => boot(tarball, 'main.mjs', { type: 'module', nest: '^11' }));
} catch (error) {
  report('pack', error);
} finally {
  await rm(temporary, { recursive: true, force: true });
}

async function part(name, work) {
  try {
    console.log(`ok    ${name}: ${await work()}`);
  } catch (error) {
    report(name, error);
  }
}

function report(name, error) {
  process.exitCode = 1;
  console.log(`FAIL  ${name}: ${error.message}`);
}

/** A clean build of the library beside its manifest and papers, packed as `npm publish` would. */
async function pack() {
  const stage = join(temporary, 'stage');
  await mkdir(stage);
  await Promise.all(
    [...ALWAYS, ...SCHEMATICS]
      .filter((file) => existsSync(join(LIBRARY, file)))
      .map((file) => cp(join(LIBRARY, file), join(stage, file))),
  );
  await cp(join(LIBRARY, ASSETS), join(stage, ASSETS), { recursive: true });
  const buildInfo = join(temporary, 'build.tsbuildinfo');
  const build = ['-p', join(LIBRARY, 'tsconfig.build.json'), '--outDir', join(stage, 'dist')];
  await run('tsc', [...build, '--tsBuildInfoFile', buildInfo]);
  const printed = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', temporary],
    stage,
  );
  const [{ filename, files, size }] = Object.values(JSON.parse(printed));
  console.log(`      ${filename}: ${files.length} files, ${(size / 1_024).toFixed(0)} KiB`);
  return { tarball: join(temporary, basename(filename)), files: files.map(({ path }) => path) };
}

function checkFiles(files, manifest) {
  const known = [...ALWAYS, ...SCHEMATICS];
  const strangers = files.filter((file) => !known.includes(file) && !hasSource(file) && !isAsset(file));
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  const wanted = [
    ...known,
    `${ASSETS}/console/index.html`,
    ...targets.map((target) => target.replace('./', '')),
  ];
  const missing = wanted.filter((file) => !files.includes(file));
  if (strangers.length > 0) throw new Error(`does not belong into the tarball: ${strangers.join(', ')}`);
  if (missing.length > 0) throw new Error(`missing from the tarball: ${[...new Set(missing)].join(', ')}`);
  return `${known.join(', ')}, ${ASSETS} and dist only; all ${targets.length} targets of exports are there`;
}

/** Served by the console as it stands in the repository. */
function isAsset(file) {
  return file.startsWith(`${ASSETS}/`) && existsSync(join(LIBRARY, file));
}

/** Of dist only what a source file that is not a test compiles to. */
function hasSource(file) {
  const source = BUILT.exec(file)?.groups.source;
  return source !== undefined && !source.endsWith('.spec') && existsSync(join(LIBRARY, `${source}.ts`));
}

async function checkWithPublint(tarball) {
  const bytes = await readFile(tarball);
  const packed = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: packed }, strict: true });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'));
  return 'nothing to report';
}

async function checkWithAttw(tarball) {
  await run('attw', [tarball, '--profile', 'esm-only', '--no-color', '--no-emoji', '--format', 'ascii']);
  return 'nothing to report';
}

function checkScripts(manifest) {
  const found = Object.keys(manifest.scripts ?? {}).filter((name) => /install|prepare/u.test(name));
  if (found.length > 0) throw new Error(`the library runs code when it is installed: ${found.join(', ')}`);
  return 'none';
}

async function boot(tarball, main, { type, nest }) {
  const project = await mkdtemp(join(temporary, 'project-'));
  const { dependencies: ours } = await readJson(join(REPOSITORY, 'package.json'));
  const dependencies = Object.fromEntries(
    NEST_PROJECT.map((name) => [name, name.startsWith('@nestjs/') ? (nest ?? ours[name]) : ours[name]]),
  );
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type, dependencies }));
  await cp(join(CONSUMERS, main), join(project, main));
  const quietly = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await run('npm', ['install', tarball, ...quietly], project);
  const seen = (await run(process.execPath, [main], project)).trim();
  for (const major of LATER_NODES) {
    await run('npx', ['--yes', '--prefer-offline', '-p', `node@${major}`, 'node', main], project);
  }
  const { version } = await readJson(join(project, 'node_modules/@nestjs/core/package.json'));
  return `Nest ${version}, Node ${[process.versions.node, ...LATER_NODES].join(', ')}: ${seen}`;
}

/** Runs a program to its end and returns what it printed; a non-zero exit is an error that carries it all. */
function run(program, args, cwd = REPOSITORY) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32' && program !== process.execPath,
      timeout: 240_000,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else
        reject(new Error(`${program} ${args[0]} ended with ${signal ?? code}\n${stdout}${stderr}`.trimEnd()));
    });
  });
}

/** Ours, less what would tie a child to this workspace or to somebody's Redis. */
function environment() {
  const tied = /^(REDIS_.*|NODE_ENV|NODE_OPTIONS|VITEST.*|npm_config_(local_prefix|workspaces?|prefix))$/u;
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !tied.test(name)));
  return { ...kept, PATH: [join(REPOSITORY, 'node_modules/.bin'), kept.PATH].join(delimiter) };
}

async function readJson(path) {
  return JSON.parse(await readFile(path, 'utf8'));
}
