/**
 * Writes all that is made from the catalogue of metrics: the table in docs/metrics.md, the boards of Grafana and the rules
 * of Prometheus. `node scripts/write-boards.mjs --check` writes nothing and fails when one of them is out of date.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { registerTypescript } from '../test/topology/register-typescript.mjs';
import { boardsOf } from './boards/boards.mjs';
import { rulesOf } from './boards/alerts.mjs';
import { tableOf } from './boards/table.mjs';
import { yamlOf } from './boards/yaml.mjs';

registerTypescript();
const { METRICS } = await import('../libs/redis/src/monitoring/metrics/catalogue.ts');

const root = new URL('..', import.meta.url);
const page = await readFile(new URL('docs/metrics.md', root), 'utf8');
const made = [
  ['docs/metrics.md', withTable(page, tableOf(METRICS))],
  ['docker/prometheus/rules.yml', yamlOf(rulesOf(METRICS))],
  ...Object.entries(boardsOf(METRICS)).map(([name, board]) => [
    `docker/grafana/dashboards/${name}.json`,
    JSON.stringify(board),
  ]),
];

const stale = [];
for (const [path, text] of made) {
  const file = new URL(path, root);
  const formatted = await format(text, { ...(await resolveConfig(file)), filepath: path });
  const present = await readFile(file, 'utf8').catch(() => '');
  if (present === formatted) continue;
  stale.push(path);
  if (!process.argv.includes('--check')) await writeFile(file, formatted);
}
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`out of date: ${stale.join(', ')}; write them with: node scripts/write-boards.mjs`);
  process.exitCode = 1;
} else if (stale.length > 0) console.log(`written: ${stale.join(', ')}`);

function withTable(text, table) {
  const [begin, end] = ['<!-- metrics -->', '<!-- /metrics -->'];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`docs/metrics.md has no ${begin} … ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
}
