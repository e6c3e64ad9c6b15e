/** The catalogue as a table for readers, one part for each group. */
import { PREFIX } from './names.mjs';

export function tableOf(metrics) {
  const groups = [...new Set(metrics.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        `### \`${group}\``,
        '',
        '| metric | type | labels | |',
        '| --- | --- | --- | --- |',
        ...metrics.filter((metric) => metric.group === group).map(lineOf),
      ].join('\n'),
    )
    .join('\n\n');
}

function lineOf({ name, type, labels, help }) {
  const named = Object.entries(labels).map(([label, domain]) =>
    domain === 'open' ? `\`${label}\`` : `\`${label}\`: ${domain.join(', ')}`,
  );
  return `| \`${PREFIX}${name}\` | ${type} | ${named.join('; ')} | ${help.replaceAll('|', '\\|')} |`;
}
