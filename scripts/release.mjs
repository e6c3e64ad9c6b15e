/**
 * `node scripts/release.mjs`: everything a release consists of, up to the files; with `--publish` it also publishes.
 *
 *   1. refuses a tree with changes, and a version that the changelog does not know or calls unreleased
 *   2. runs `npm run check`
 *   3. builds into an emptied dist and packs the tarball into `release/`
 *   4. writes the bill of materials (CycloneDX) of what users install, and the checksums of both
 *   5. `--publish`: `npm publish` of that tarball with provenance, which only a CI with an identity token can give
 *
 * `--rehearse` leaves out 1 and 2, to see what would be released.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const LIBRARY = join(REPOSITORY, 'libs/redis');
const OUT = join(REPOSITORY, 'release');
const rehearsing = process.argv.includes('--rehearse');
const publishing = process.argv.includes('--publish');
const manifest = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8'));
const { name, version } = manifest;

if (rehearsing && publishing) fail('a rehearsal publishes nothing: leave one of the two out');
if (!rehearsing) {
  if (run('git', ['status', '--porcelain']) !== '') fail('the work tree has changes: commit them first');
  const heading = readFileSync(join(REPOSITORY, 'CHANGELOG.md'), 'utf8').match(/^## \[.+$/mu)?.[0] ?? '';
  if (!heading.startsWith(`## [${version}] - 2`)) {
    fail(`CHANGELOG.md begins with '${heading}': it has to begin with '## [${version}] - <date>'`);
  }
  show('npm', ['run', 'check']);
}

rmSync(OUT, { recursive: true, force: true });
rmSync(join(LIBRARY, 'dist'), { recursive: true, force: true });
mkdirSync(OUT);
show('npx', ['tsc', '-b', '--force', 'libs/redis/tsconfig.build.json']);
const [{ filename, size, files }] = Object.values(
  JSON.parse(
    run('npm', [
      'pack',
      '--json',
      '--ignore-scripts',
      '--workspace',
      'libs/redis',
      '--pack-destination',
      OUT,
    ]),
  ),
);
const materials = billOf();
writeFileSync(join(OUT, 'sbom.cdx.json'), materials);
const sums = [filename, 'sbom.cdx.json'].map(
  (file) =>
    `${createHash('sha256')
      .update(readFileSync(join(OUT, file)))
      .digest('hex')}  ${file}`,
);
writeFileSync(join(OUT, 'SHA256SUMS'), `${sums.join('\n')}\n`);
const { components = [] } = JSON.parse(materials);
console.log(`${name} ${version}: ${filename}, ${files.length} files, ${Math.round(size / 1_024)} KiB`);
console.log(`sbom.cdx.json: ${components.length} components\n${sums.join('\n')}`);

if (publishing) show('npm', ['publish', join(OUT, filename), '--provenance', '--access', 'public']);
else console.log(`\nNothing was published. With an identity token: node scripts/release.mjs --publish`);

/** Of what comes with the library: its dependencies and theirs. Peers are the application's. */
function billOf() {
  const project = mkdtempSync(join(tmpdir(), 'anbar-release-'));
  const { license, dependencies } = manifest;
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name, version, license, dependencies }));
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], project);
  const bill = run('npm', ['sbom', '--sbom-format', 'cyclonedx'], project);
  rmSync(project, { recursive: true, force: true });
  return bill;
}

function run(program, args, cwd = REPOSITORY) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  if (status !== 0) fail(`${program} ${args.join(' ')} ended with ${status}\n${stderr}`);
  return stdout.trim();
}

function show(program, args) {
  const { status } = spawnSync(program, args, { cwd: REPOSITORY, stdio: 'inherit' });
  if (status !== 0) fail(`${program} ${args.join(' ')} ended with ${status}`);
}

function fail(why) {
  console.error(`No release: ${why}`);
  process.exit(1);
}
