/**
 * One list of metrics, and everything that names one holds to it: the page, the boards, the alerts, their tests. What is
 * made from the list is up to date, and the boards are of a shape that Grafana takes.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { METRICS, METRICS_DEFAULTS, type MetricDefinition } from '@anbar/nestjs-redis/monitoring';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const DASHBOARDS = 'docker/grafana/dashboards';
const { prefix } = METRICS_DEFAULTS;
const definitions: readonly MetricDefinition[] = METRICS;

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const boards = readdirSync(join(root, DASHBOARDS)).map((name) => `${DASHBOARDS}/${name}`);

/** Wherever names of metrics are written down. */
const WRITTEN = [
  'docs/metrics.md',
  'docker/prometheus/rules.yml',
  'test/integration/metrics-rules.tests.yml',
  'test/integration/metrics-rules-daily.tests.yml',
  ...boards,
];

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Board {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly links: readonly { readonly url: string }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

/** Names with our prefix that no metric of the list has, nor a recording rule made from them. */
function unknownIn(text: string): readonly string[] {
  const known = new Set(
    definitions.flatMap(({ name, type }) =>
      type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const named = [...text.matchAll(new RegExp(`\\b${prefix}([a-z0-9_]+)`, 'gu'))].map(([, name = '']) => name);
  return [...new Set(named)].filter((name) => !known.has(name));
}

/** Labels in selectors that the metric before them does not have. */
function unknownLabelsIn(text: string): readonly string[] {
  const selectors = text.matchAll(new RegExp(`\\b${prefix}([a-z0-9_]+)\\{([^}]*)\\}`, 'gu'));
  return [...selectors].flatMap(([whole, name = '', inner = '']) => {
    const bare = name.replace(/_(?:bucket|sum|count)$/u, '');
    const definition = definitions.find((each) => each.name === name || each.name === bare);
    const labels = [...Object.keys(definition?.labels ?? {}), 'job', 'instance', 'le'];
    const used = [...inner.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/gu)].map(([, label = '']) => label);
    return used.filter((label) => !labels.includes(label)).map((label) => `${whole}: ${label}`);
  });
}

/** What Grafana would not show as it is meant. */
function faultsOf(
  { uid, schemaVersion, panels, templating, links }: Board,
  uids: readonly string[],
): string[] {
  const faults: string[] = [];
  if (!/^[\w-]{1,40}$/u.test(uid)) faults.push(`uid ${uid}`);
  if (schemaVersion < 36) faults.push(`schemaVersion ${schemaVersion}`);
  const names = templating.list.map(({ name }) => name);
  if (!templating.list.some(({ name, type }) => name === 'DS' && type === 'datasource'))
    faults.push('no ${DS}');
  for (const { url } of links) if (!uids.includes(url.replace('/d/', ''))) faults.push(`link ${url}`);
  if (new Set(panels.map(({ id }) => id)).size < panels.length) faults.push('two panels of one id');
  for (const [index, panel] of panels.entries()) {
    const { x, y, w, h } = panel.gridPos;
    if (x < 0 || y < 0 || w < 1 || h < 1 || x + w > 24) faults.push(`${panel.title}: outside`);
    const over = panels.slice(index + 1).find(({ gridPos: other }) => {
      const apart = other.x >= x + w || x >= other.x + other.w || other.y >= y + h || y >= other.y + other.h;
      return !apart;
    });
    if (over !== undefined) faults.push(`${panel.title} lies over ${over.title}`);
    if (panel.type === 'row') continue;
    const { targets = [] } = panel;
    if (targets.length === 0) faults.push(`${panel.title}: no target`);
    if (new Set(targets.map(({ refId }) => refId)).size < targets.length)
      faults.push(`${panel.title}: refId`);
    if (![panel, ...targets].every(({ datasource }) => datasource?.uid === '${DS}'))
      faults.push(`${panel.title}: source`);
    const asked = targets.flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/gu)].map(([, name = '']) => name));
    const unknown = asked.filter((name) => name !== '__rate_interval' && !names.includes(name));
    for (const name of unknown) faults.push(`${panel.title}: $${name}`);
  }
  return faults;
}

describe('the catalogue', () => {
  it('names each metric once, as Prometheus would have it', () => {
    const names = definitions.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const odd = definitions.filter(({ name, type, buckets = [], help }) => {
      const ends = type === 'counter' ? /_total$/u : type === 'histogram' ? /_seconds$/u : /^(?!.*_total$)/u;
      const sorted = buckets.every((bound, i) => i === 0 || bound > (buckets[i - 1] ?? Infinity));
      const bucketed = (type === 'histogram') === buckets.length > 0;
      return (
        !/^[a-z][a-z0-9_]*$/u.test(name) ||
        !ends.test(name) ||
        !sorted ||
        !bucketed ||
        !/^[A-Z0-9].*\.$/u.test(help)
      );
    });
    expect(odd.map(({ name }) => name)).toEqual([]);
  });

  it('has labels of configured names and of closed lists only', () => {
    const open = definitions.flatMap(({ labels }) =>
      Object.entries(labels).flatMap(([label, domain]) => (domain === 'open' ? [label] : [])),
    );
    const overflow = definitions.find(({ name }) => name === 'label_overflow_total');
    expect(new Set(open)).toEqual(new Set(overflow?.labels['label']));
    const forbidden = [
      'key',
      'tag',
      'user',
      'ip',
      'url',
      'path',
      'tenant',
      'message',
      'host',
      'le',
      'quantile',
    ];
    const all = definitions.flatMap(({ labels }) => Object.keys(labels));
    expect(all.filter((label) => forbidden.includes(label))).toEqual([]);
  });
});

describe('what names metrics', () => {
  it.each(WRITTEN)('%s names none that is not in the list', (path) => {
    const text = read(path).replaceAll('\\"', '"');
    expect(unknownIn(text)).toEqual([]);
    expect(unknownLabelsIn(text)).toEqual([]);
  });

  it('a name that is not in the list is noticed, in each of them', () => {
    for (const path of WRITTEN) {
      const planted = read(path).replace(
        /anbar_(?:cache_requests_total|connection_up|tasks_queued|cleanup_last_success_timestamp_seconds)/u,
        'anbar_cache_hit_ratio',
      );
      expect(unknownIn(planted), path).toEqual(['cache_hit_ratio']);
    }
    expect(unknownLabelsIn('rate(anbar_cache_requests_total{user="1"}[5m])')).toHaveLength(1);
    expect(unknownIn('anbar_connection_up_bucket')).toEqual(['connection_up_bucket']);
  });

  it('every metric is on a board, and in the table', () => {
    const shown = boards.map(read).join('\n');
    const page = read('docs/metrics.md');
    const missing = definitions.filter(
      ({ name }) => !new RegExp(`\\b${prefix}${name}(?:_bucket|_count)?\\b`, 'u').test(shown),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
    expect(definitions.filter(({ name }) => !page.includes(`| \`${prefix}${name}\``))).toEqual([]);
  });

  it('what is made from the list is up to date', async () => {
    await run(process.execPath, ['scripts/write-boards.mjs', '--check'], { cwd: root });
  });
});

describe('the boards', () => {
  const parsed = boards.map((path) => JSON.parse(read(path)) as Board);
  const uids = parsed.map(({ uid }) => uid);

  it('are three, each with an id of its own', () => {
    expect(uids.toSorted()).toEqual(['anbar-cache', 'anbar-client', 'anbar-services']);
  });

  it.each(parsed)('$title is of a shape that Grafana takes', (board) => {
    expect(board.panels.length).toBeGreaterThan(15);
    expect(faultsOf(board, uids)).toEqual([]);
  });

  it('a board that is not is noticed', () => {
    const [board] = parsed;
    if (board === undefined) throw new Error('no board');
    const [row, first, second] = board.panels;
    if (row === undefined || first === undefined || second === undefined) throw new Error('no panels');
    const faults = faultsOf(
      {
        ...board,
        uid: 'a b',
        schemaVersion: 16,
        links: [{ url: '/d/nowhere' }],
        templating: { list: [] },
        panels: [
          { ...first, id: second.id, gridPos: second.gridPos, targets: [] },
          { ...second, gridPos: { ...second.gridPos, w: 30 }, datasource: { uid: 'mine' } },
        ],
      },
      uids,
    );
    for (const fault of [
      /^uid/u,
      /^schemaVersion/u,
      /DS/u,
      /^link/u,
      /one id/u,
      /lies over/u,
      /no target/u,
      /outside/u,
      /source/u,
      /\$job/u,
    ])
      expect(faults.filter((each) => fault.test(each)).length, String(fault)).toBeGreaterThan(0);
  });

  it('are provisioned from where they lie, with a source they can choose', () => {
    expect(read('docker/grafana/provisioning/dashboards/anbar.yml')).toContain(
      'path: /etc/grafana/dashboards',
    );
    expect(read('docker/grafana/provisioning/datasources/prometheus.yml')).toContain('type: prometheus');
  });
});
