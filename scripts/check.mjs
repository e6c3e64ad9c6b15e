/**
 * `npm run check`: everything CI runs besides the tests, in CI's order, one line per step.
 *
 * Each step is the npm script of the same name, so what fails here is repeated with `npm run <step>`. A failing
 * step does not stop the ones after it: one run tells all. `npm run check -- lint types` runs only those, and
 * `--list` only names them.
 * The last line, `check: N passed, N failed`, is read by .ci/run.
 */
import { spawn } from 'node:child_process';

const STEPS = ['format:check', 'lint', 'layers', 'types', 'unused', 'build', 'packaging'];

if (process.argv.includes('--list')) {
  console.log(STEPS.join('\n'));
  process.exit(0);
}

const chosen = choose(process.argv.slice(2));
const startedAt = performance.now();
let failed = 0;
for (const step of chosen) {
  const outcome = await run(step);
  console.log(`${outcome.ok ? 'ok  ' : 'FAIL'}  ${step.padEnd(14)}${seconds(outcome.ms).padStart(9)}`);
  if (outcome.ok) continue;
  failed += 1;
  console.log(outcome.output.trimEnd().replace(/^/gmu, '      '));
}
console.log(
  `check: ${chosen.length - failed} passed, ${failed} failed (${seconds(performance.now() - startedAt)})`,
);
process.exitCode = failed === 0 ? 0 : 1;

function choose(names) {
  const unknown = names.filter((name) => !STEPS.includes(name));
  if (unknown.length > 0)
    throw new Error(`no such step: ${unknown.join(', ')}; there are: ${STEPS.join(', ')}`);
  return names.length === 0 ? STEPS : STEPS.filter((step) => names.includes(step));
}

/** Never rejects: a step that can not be started has failed. */
function run(step) {
  const from = performance.now();
  return new Promise((resolve) => {
    const child = spawn('npm', ['run', '--silent', step], {
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let output = '';
    const keep = (chunk) => (output += chunk);
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', (error) =>
      resolve({ ok: false, output: error.message, ms: performance.now() - from }),
    );
    child.once('close', (code) => resolve({ ok: code === 0, output, ms: performance.now() - from }));
  });
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
