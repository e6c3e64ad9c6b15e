/** Plain data as YAML: blocks for lists and objects, texts in double quotes, as JSON has them. */
const HEAD = '# Made by scripts/write-boards.mjs from the catalogue of metrics; change it there.\n';

export function yamlOf(data) {
  return `${HEAD}${blockOf(data, '')}\n`;
}

function blockOf(value, indent) {
  if (Array.isArray(value)) {
    return value.map((each) => `${indent}- ${blockOf(each, `${indent}  `).trimStart()}`).join('\n');
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([name, each]) => {
        const nested = typeof each === 'object' && each !== null;
        return nested
          ? `${indent}${name}:\n${blockOf(each, `${indent}  `)}`
          : `${indent}${name}: ${JSON.stringify(each)}`;
      })
      .join('\n');
  }
  return JSON.stringify(value);
}
