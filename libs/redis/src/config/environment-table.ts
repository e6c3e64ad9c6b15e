/** The catalogue as the table of docs/configuration.md. A test compares the two, so neither can drift. */
import { ENVIRONMENT, VARIABLE_NAMES, type Variable } from './environment.js';

export function environmentTable(): string {
  const rows = VARIABLE_NAMES.map((name) => {
    const { type, what, default: value, example }: Variable = ENVIRONMENT[name];
    return `| \`${name}\` | ${type} | ${what} | ${value ?? '–'} | \`${example}\` |`;
  });
  return ['| variable | type | what | default | example |', '|---|---|---|---|---|', ...rows].join('\n');
}
