/**
 * `node scripts/matrix.mjs`: the tests on every Node and every Nest that is supported, one line per cell.
 *
 * Each cell is a copy of the tracked files in a temporary folder with an install of its own, so nothing here is
 * changed. `--only=node-22` (node-20, node-22, node-24, node-26, nest-11) runs one cell; paths after it are handed to
 * vitest: `node scripts/matrix.mjs --only=nest-11 test/integration/module.spec.ts`.
 * Half an hour on two cores; the exit code tells.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
/** What depends on Node or Nest. The fault tables and hunts are about Redis. */
const PATHS = ['libs/redis', 'test/contract', 'test/integration', 'test/e2e'];
/** The newest of each package that stands on Nest 11. */
const NEST_11 = {
  '@nestjs/bullmq': '^11',
  '@nestjs/common': '^11',
  '@nestjs/config': '^4',
  '@nestjs/core': '^11',
  '@nestjs/graphql': '^13',
  '@nestjs/mercurius': '^13',
  '@nestjs/microservices': '^11',
  '@nestjs/platform-express': '^11',
  '@nestjs/platform-fastify': '^11',
  '@nestjs/platform-ws': '^11',
  '@nestjs/schedule': '^6',
  '@nestjs/terminus': '^11',
  '@nestjs/websockets': '^11',
};
/** Of the demo, which is an application of Nest 12: it turns on protections that 11 does not have. */
const DEMO = 'test/e2e';
/** Where the parts of Nest 11 lie that 12 hands out as `@nestjs/core/internal`; a test puts providers in by them. */
const NEST_11_INTERNAL = [
  'injector/injector',
  'injector/instance-loader',
  'inspector/noop-graph-inspector',
  'scanner',
];
const CELLS = [
  { name: 'node-20', node: '20.19' },
  { name: 'node-22', node: '22' },
  { name: 'node-24', node: '24' },
  { name: 'node-26', node: '26' },
  { name: 'nest-11', node: undefined, versions: NEST_11, without: DEMO },
];

const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
const paths = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const chosen = CELLS.filter(({ name }) => only === undefined || name === only);
if (chosen.length === 0)
  throw new Error(`no such cell: ${only}; there are ${CELLS.map(({ name }) => name).join(', ')}`);

for (const cell of chosen) {
  const startedAt = performance.now();
  const folder = await mkdtemp(join(tmpdir(), `anbar-${cell.name}-`));
  const { ok, said } = await runCell(cell, folder).catch((error) => ({ ok: false, said: error.message }));
  await rm(folder, { recursive: true, force: true });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${cell.name.padEnd(8)} ${String(seconds).padStart(5)} s  ${said}`);
  if (!ok) process.exitCode = 1;
}

async function runCell({ node, versions, without }, folder) {
  const { stdout: files } = await run('git', ['ls-files', '-z'], REPOSITORY);
  for (const file of files.split('\0').filter(Boolean)) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await cp(join(REPOSITORY, file), join(folder, file));
  }
  const quietly = ['--no-audit', '--no-fund', '--prefer-offline'];
  if (versions === undefined) await mustRun('npm', ['ci', ...quietly], folder);
  else {
    await pin(join(folder, 'package.json'), versions);
    await rm(join(folder, 'package-lock.json'));
    await mustRun('npm', ['install', '--legacy-peer-deps', ...quietly], folder);
    await writeFile(
      join(folder, 'node_modules/@nestjs/core/internal.js'),
      NEST_11_INTERNAL.map((part) => `Object.assign(exports, require('./${part}'));\n`).join(''),
    );
  }
  const vitest = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    ...(paths.length > 0 ? paths : PATHS.filter((path) => path !== without)),
  ];
  const [program, args] =
    node === undefined
      ? [process.execPath, vitest]
      : ['npx', ['-y', '-p', `node@${node}`, 'node', ...vitest]];
  const { code, stdout, stderr } = await run(program, args, folder);
  const plain = stripVTControlCharacters(stdout);
  const summary = /^ +Tests +(.+)$/mu.exec(plain)?.[1] ?? 'no test was run';
  if (code === 0) return { ok: true, said: summary };
  const failed = [...plain.matchAll(/^ FAIL +(.+)$/gmu)].map(([, what]) => `\n        ${what}`);
  return {
    ok: false,
    said: `${summary}${[...new Set(failed)].join('')}${failed.length === 0 ? `\n${stderr}` : ''}`,
  };
}

async function pin(file, versions) {
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  for (const group of ['dependencies', 'devDependencies']) {
    for (const name of Object.keys(manifest[group]))
      manifest[group][name] = versions[name] ?? manifest[group][name];
  }
  await writeFile(file, JSON.stringify(manifest, undefined, 2));
}

async function mustRun(program, args, cwd) {
  const { code, stdout, stderr } = await run(program, args, cwd);
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}\n${stdout}${stderr}`);
}

function run(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, CI: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
