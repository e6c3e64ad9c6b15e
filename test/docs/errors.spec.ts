/** docs/errors.md lists every error the package can throw, and no other. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `CODE ClassName` of each class in the library that carries a code. */
function thrown(): readonly string[] {
  const folder = join(root, 'libs/redis/src');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const classes = text.matchAll(
      /class (\w+) extends RedisModuleError \{\s+(?:override )?readonly code = '(\w+)'/gu,
    );
    return [...classes].map(([, name, code]) => `${code} ${name}`);
  });
}

function documented(): readonly string[] {
  const text = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  return [...text.matchAll(/^\| `([A-Z_]+)`\s+\| `(\w+)`\s+\|/gmu)].map(
    ([, code, name]) => `${code} ${name}`,
  );
}

it('every code stands in docs/errors.md once, with its class', () => {
  expect(documented()).toEqual(documented().toSorted());
  expect(documented()).toEqual([...thrown()].toSorted());
  expect(thrown().length).toBeGreaterThan(15);
});
