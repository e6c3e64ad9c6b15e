/** docs/configuration.md says what the code does: its table, its options and its example are compared with it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ENVIRONMENT } from './environment.js';
import { environmentTable } from './environment-table.js';
import { BLOCKS, ModuleRules } from './option-rules.js';
import { RedisConfig } from './redis-config.js';

const page = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8');

/** Prettier pads the cells of a table. */
function unpadded(text: string): string {
  return text.replace(/ *\| */gu, '|').replace(/-{3,}/gu, '---');
}

it('holds the generated table of variables', () => {
  expect(unpadded(page)).toContain(unpadded(environmentTable()));
  expect(environmentTable().split('\n')).toHaveLength(2 + Object.keys(ENVIRONMENT).length);
});

it.each(Object.keys(new ModuleRules()))('explains the option %s', (name) => {
  expect(unpadded(page)).toContain(`|\`${name}\`|`);
});

it.each(
  Object.entries(BLOCKS).flatMap(([block, Rules]) => Object.keys(new Rules()).map((name) => [block, name])),
)('explains the option %s.%s', (block, name) => {
  expect(page).toContain(`\`${block}.${name}\``);
});

it('shows the error that its example gives', () => {
  const env = { REDIS_URL: 'redis://app:s3cret@redis.internal:99999', REDIS_DB: 'one' };
  const options = { timeuot: '1s', retry: { attempts: 0 } };
  const error = thrownBy(() => new RedisConfig(options, env));
  expect(page).toContain(error.message);
  expect(page).toContain("{ timeuot: '1s', retry: { attempts: 0 } }");
});

function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}
