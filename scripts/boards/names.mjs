/** Names of metrics as they are written in queries: one that the catalogue does not have is an error here. */
export const PREFIX = 'anbar_';

export function namesOf(metrics) {
  const byName = new Map(metrics.map((metric) => [metric.name, metric]));
  const find = (name, type) => {
    const metric = byName.get(name);
    if (metric === undefined) throw new Error(`the catalogue has no metric '${name}'`);
    if (type !== undefined && metric.type !== type)
      throw new Error(`'${name}' is a ${metric.type}, no ${type}`);
    return metric;
  };
  /** The name itself; labels in the selector have to be labels of the metric. */
  const plain = (name, labels = '') => `${PREFIX}${find(name).name}${selector(find(name), labels)}`;
  return {
    plain,
    /** Per second, over the interval given. */
    rate: (name, labels = '', over = '$__rate_interval') =>
      `rate(${PREFIX}${find(name, 'counter').name}${selector(find(name), labels)}[${over}])`,
    increase: (name, labels = '', over = '$__rate_interval') =>
      `increase(${PREFIX}${find(name, 'counter').name}${selector(find(name), labels)}[${over}])`,
    part: (name, part, labels = '', over = '$__rate_interval') =>
      `rate(${PREFIX}${find(name, 'histogram').name}_${part}${selector(find(name), labels)}[${over}])`,
    quantile: (q, name, by = [], labels = '') => {
      const metric = find(name, 'histogram');
      const rate = `rate(${PREFIX}${metric.name}_bucket${selector(metric, labels)}[$__rate_interval])`;
      return `histogram_quantile(${q}, sum by (${['le', ...by].join(', ')}) (${rate}))`;
    },
  };
}

/** What every series has from whoever asked for it. */
const COMMON = ['job', 'instance'];

function selector(metric, labels) {
  for (const [, label] of labels.matchAll(/(\w+)\s*(?:=|!)/gu)) {
    if (COMMON.includes(label) || label in metric.labels) continue;
    throw new Error(`'${metric.name}' has no label '${label}'`);
  }
  return labels === '' ? '' : `{${labels}}`;
}
