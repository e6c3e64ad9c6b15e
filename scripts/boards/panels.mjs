/** Panels of Grafana, as little as it takes: what is not said is left to its defaults. */
const DATASOURCE = { type: 'prometheus', uid: '${DS}' };
const WIDTH = 24;

const common = (type, title, queries, { unit = 'short', description, ...rest } = {}) => ({
  type,
  title,
  ...(description && { description }),
  datasource: DATASOURCE,
  targets: queries.map(([expr, legendFormat, extra = {}], index) => ({
    refId: String.fromCharCode(65 + index),
    datasource: DATASOURCE,
    expr,
    ...(legendFormat && { legendFormat }),
    ...extra,
  })),
  fieldConfig: { defaults: { unit, ...rest.defaults }, overrides: [] },
  options: rest.options ?? {},
  width: rest.width ?? 8,
  height: rest.height ?? 8,
});

export const row = (title) => ({ type: 'row', title, collapsed: false, panels: [], width: WIDTH, height: 1 });

export const lines = (title, queries, options = {}) =>
  common('timeseries', title, queries, {
    ...options,
    defaults: {
      min: 0,
      custom: { fillOpacity: options.stacked ? 30 : 10, ...stacking(options) },
      ...options.defaults,
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  });

const stacking = ({ stacked = false }) => (stacked ? { stacking: { mode: 'normal', group: 'A' } } : {});

export const stat = (title, query, options = {}) =>
  common('stat', title, [[query, '']], {
    width: 4,
    height: 4,
    ...options,
    defaults: {
      ...(options.steps && {
        thresholds: { mode: 'absolute', steps: options.steps },
        color: { mode: 'thresholds' },
      }),
      ...(options.mappings && { mappings: options.mappings }),
    },
    options: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'value', graphMode: 'area' },
  });

/** One line per combination of labels, the columns being the queries. */
export const table = (title, queries, options = {}) =>
  common(
    'table',
    title,
    queries.map(([expr]) => [expr, '', { format: 'table', instant: true }]),
    options,
  );

export const timeline = (title, queries, options = {}) =>
  common('state-timeline', title, queries, {
    ...options,
    defaults: { color: { mode: 'thresholds' }, ...options.defaults },
    options: { mergeValues: true, showValue: 'never' },
  });

export const bars = (title, queries, options = {}) =>
  common('bargauge', title, queries, {
    ...options,
    defaults: { min: 0, max: 1 },
    options: { orientation: 'horizontal', displayMode: 'basic', reduceOptions: { calcs: ['lastNotNull'] } },
  });

export const heatmap = (title, query, options = {}) =>
  common('heatmap', title, [[query, '{{le}}', { format: 'heatmap' }]], {
    ...options,
    options: { calculate: false, yAxis: { unit: options.unit ?? 's' }, cellGap: 1 },
  });

const variable = (name, label, query) => ({
  name,
  label,
  type: 'query',
  datasource: DATASOURCE,
  query: { query, refId: name },
  definition: query,
  includeAll: true,
  multi: true,
  allValue: '.*',
  refresh: 2,
  current: { text: 'All', value: '$__all' },
});

/** From left to right, in rows as high as the highest of them. */
function placed(panels) {
  let [x, y, high] = [0, 0, 0];
  return panels.map(({ width, height, ...panel }, index) => {
    if (x + width > WIDTH) [x, y, high] = [0, y + high, 0];
    const gridPos = { x, y, w: width, h: height };
    x += width;
    high = Math.max(high, height);
    return { id: index + 1, gridPos, ...panel };
  });
}

export function board({ uid, title, description, up, variables, annotations = [], panels, links }) {
  return {
    uid,
    title,
    description,
    tags: ['anbar', 'redis'],
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    links: links.map(([name, target]) => ({
      title: name,
      type: 'link',
      url: `/d/${target}`,
      keepTime: true,
    })),
    templating: {
      list: [
        { name: 'DS', label: 'Prometheus', type: 'datasource', query: 'prometheus', current: {}, refresh: 1 },
        variable('job', 'Job', `label_values(${up}, job)`),
        variable('instance', 'Instance', `label_values(${up}{job=~"$job"}, instance)`),
        ...variables.map(([name, label, query]) => variable(name, label, query)),
      ],
    },
    annotations: {
      list: annotations.map(({ name, expr, color }) => ({
        name,
        expr,
        iconColor: color,
        datasource: DATASOURCE,
        enable: true,
        titleFormat: name,
        step: '60s',
      })),
    },
    panels: placed(panels),
  };
}
