/** What the documentation calls by name exists, and what exists is called by its name. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { ENVIRONMENT } from '@anbar/nestjs-redis/config';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const pages = [
  'README.md',
  'libs/redis/README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** A code of an error, what other packages read, and what the tests read. */
const NOT_OURS = new Set(['REDIS_REPLY', 'REDIS_URI', 'REDIS_SERVER']);

it.each(pages)('environment variables on %s are ones that are read', (page) => {
  const named = new Set(read(page).match(/\bREDIS_[A-Z_]+\b/gu) ?? []);
  // `REDIS_TLS_` stands for all that begin like it.
  const unknown = [...named].filter(
    (name) => !name.endsWith('_') && !NOT_OURS.has(name) && !Object.hasOwn(ENVIRONMENT, name),
  );
  expect(unknown).toEqual([]);
});

it('the page of the package names every entry of it', () => {
  const { exports } = JSON.parse(read('libs/redis/package.json')) as { exports: Record<string, unknown> };
  const entries = Object.keys(exports).filter((entry) => entry !== '.' && entry !== './package.json');
  const page = read('libs/redis/README.md');
  const missing = entries.filter((entry) => !page.includes(`\`@anbar/nestjs-redis${entry.slice(1)}\``));
  expect(missing).toEqual([]);
});

it('every channel that something is published on is in the table of events, and no other', () => {
  const sources = join(root, 'libs/redis/src');
  const code = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .map((file) => readFileSync(join(sources, file), 'utf8'));
  const used = code.flatMap((text) =>
    [...text.matchAll(/telemetryChannel\('(?<channel>[^']+)'\)/gu)].map(
      ({ groups }) => groups?.['channel'] ?? '',
    ),
  );
  const channels = new Set(used);
  const table = read('docs/logs-and-traces.md').matchAll(/^\| `anbar:(?<channel>[a-z0-9-]+)`\s/gmu);
  const told = [...table].map(({ groups }) => groups?.['channel'] ?? '');
  expect(told.toSorted()).toEqual([...channels].toSorted());
  expect(told.length).toBeGreaterThan(8);
});
