/** What Prometheus itself says: of a scrape, of the rules and their tests, of every query on the boards. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { shared } from '../topology/index.js';
import { watch } from './metrics-stage.js';
import { promtool } from './promtool.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const RULES = join(root, 'docker/prometheus/rules.yml');
const BOARDS = join(root, 'docker/grafana/dashboards');
/** Room for the package to be fetched, on the first run on a machine that lacks it. */
const PATIENCE = { timeout: 180_000 };

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'anbar-rules-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

describe('promtool', PATIENCE, () => {
  it('finds nothing wrong with a scrape, and something with a bad one', async () => {
    const { url } = await shared('standalone');
    const { redis, scrape } = await watch({ url });
    const { cache, limiter, adapter } = redis;
    await cache.getOrSet('a', () => 1);
    await cache.namespace('quoted "name"\\ and\nline').get('a');
    await limiter.consume('someone', { name: 'login', limit: 1, window: '1m' });
    await adapter.port.command('PING', []);
    const { text } = await scrape();
    expect(text).toContain(
      'anbar_command_duration_seconds_bucket{le="0.001",client="default",command="ping"}',
    );
    expect(await promtool(['check', 'metrics'], text)).toEqual({ ok: true, output: '' });
    const bad = text.replaceAll('anbar_cache_coalesced_total', 'anbar_cache_coalesced');
    expect((await promtool(['check', 'metrics'], bad)).ok).toBe(false);
  });

  it('accepts the rules, and they tell what they should', async () => {
    expect(await promtool(['check', 'rules', RULES])).toMatchObject({ ok: true });
    const at = await folder();
    await cp(RULES, join(at, 'rules.yml'));
    const units = ['metrics-rules.tests.yml', 'metrics-rules-daily.tests.yml'];
    for (const name of units) await cp(fileURLToPath(new URL(name, import.meta.url)), join(at, name));
    const files = units.map((name) => join(at, name));
    expect(await promtool(['test', 'rules', ...files])).toMatchObject({ ok: true });
    // The units notice a rule that says something else.
    const rules = await readFile(RULES, 'utf8');
    await writeFile(
      join(at, 'rules.yml'),
      rules.replace("'anbar_connection_up == 0'", "'anbar_connection_up == 1'"),
    );
    expect(await promtool(['test', 'rules', ...files])).toMatchObject({ ok: false });
  });

  it('can read every query of the boards', async () => {
    const at = await folder();
    const queries = (await Promise.all((await readdir(BOARDS)).map(queriesOf))).flat();
    expect(queries.length).toBeGreaterThan(80);
    const rules = queries.map((expr, i) => `      - { record: 'q${i}', expr: ${JSON.stringify(expr)} }`);
    const file = join(at, 'queries.yml');
    await writeFile(file, `groups:\n  - name: boards\n    rules:\n${rules.join('\n')}\n`);
    expect(await promtool(['check', 'rules', file])).toMatchObject({ ok: true });
  });
});

/** With what Grafana puts in place of its variables. */
async function queriesOf(name: string): Promise<string[]> {
  const board = JSON.parse(await readFile(join(BOARDS, name), 'utf8')) as {
    panels: { targets?: { expr: string }[] }[];
    annotations: { list: { expr: string }[] };
  };
  const all = [...board.panels.flatMap(({ targets = [] }) => targets), ...board.annotations.list];
  return all.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/gu, '.*'));
}
