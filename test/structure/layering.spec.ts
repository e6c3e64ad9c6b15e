/**
 * The walls hold only while something checks them, and a checker that reads nothing is green. So each rule of
 * `.dependency-cruiser.cjs` gets one planted violation that it, by name, has to report; so do the checks for
 * unused exports and for `any`. All plants go into one copy of the tree and each tool runs over it once.
 */
import { createRequire } from 'node:module';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlantedTree, readJson, REPOSITORY, runScript, type Outcome } from './planted-tree.js';

interface Plant {
  /** The rule that has to speak up. */
  readonly rule: string;
  /** The file it has to name. */
  readonly file: string;
  readonly text: string;
}

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
    }[];
  };
}

interface Unused {
  readonly issues: readonly {
    readonly file: string;
    readonly exports: readonly { readonly name: string }[];
  }[];
}

interface Lint {
  readonly diagnostics: readonly { readonly filename: string; readonly code: string }[];
}

interface Configuration {
  readonly forbidden: readonly { readonly name: string; readonly severity: string }[];
}

const SRC = 'libs/redis/src';
const table = await readJson<Record<string, readonly string[]>>('scripts/layers.json');
const rooms = Object.keys(table);
const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as Configuration;

/** What the plants lean on, written only where the tree does not have it yet. */
const scaffold: Readonly<Record<string, string>> = {
  ...Object.fromEntries(rooms.map((room) => [`${SRC}/${room}/index.ts`, 'export const stub = 1;\n'])),
  [`${SRC}/index.ts`]: 'export const stub = 1;\n',
  [`${SRC}/redis.module.ts`]: 'export const stub = 1;\n',
  [`${SRC}/redis.options.ts`]: 'export const stub = 1;\n',
  [`${SRC}/unheard-of/index.ts`]: 'export const stub = 1;\n',
  [`${SRC}/core/planted-inner.ts`]: 'export const inner = 1;\n',
  [`${SRC}/core/planted.spec.ts`]: 'export const spec = 1;\n',
  [`${SRC}/core/planted-cycle-b.ts`]:
    "import type { There } from './planted-cycle-a.js';\nexport interface Back { there: There }\n",
  'libs/redis/testing/index.ts': 'export const stub = 1;\n',
  'src/main.ts': 'export const stub = 1;\n',
};

const layerPlants: readonly Plant[] = Object.entries(table).map(([room, allowed]) => ({
  rule: `layer-${room}`,
  file: `${SRC}/${room}/planted-layer.ts`,
  text: `import '../${beyond(room, allowed)}';\n`,
}));

const plants: readonly Plant[] = [
  ...layerPlants,
  plant('room-in-table', `${SRC}/lock/planted-room.ts`, '../unheard-of/index.js'),
  plant('through-the-door', `${SRC}/cache/planted-door.ts`, '../core/planted-inner.js'),
  plant('through-the-door-from-outside', `${SRC}/planted-door.ts`, './core/planted-inner.js'),
  plant(
    'through-the-door-from-outside',
    'libs/redis/testing/planted-door.ts',
    '../src/core/planted-inner.js',
  ),
  plant('through-the-door-from-outside', 'test/planted-door.ts', '../libs/redis/src/core/planted-inner.js'),
  plant('own-door', `${SRC}/core/planted-own-door.ts`, './index.js'),
  plant('own-door', `${SRC}/connection/embedded/planted-own-door.ts`, '../index.js'),
  plant('own-door-root', `${SRC}/planted-own-door.ts`, './index.js'),
  plant('own-door-testing', 'libs/redis/testing/planted-own-door.ts', './index.js'),
  {
    rule: 'no-cycles',
    file: `${SRC}/core/planted-cycle-a.ts`,
    text: "import type { Back } from './planted-cycle-b.js';\nexport interface There { back: Back }\n",
  },
  plant('driver-only-in-connection', `${SRC}/lock/planted-driver.ts`, 'ioredis'),
  plant('driver-only-in-connection', 'src/planted-driver.ts', 'ioredis'),
  {
    rule: 'driver-only-in-connection',
    file: `${SRC}/planted-driver.ts`,
    text: "import type { Redis } from 'ioredis';\nexport type Client = Redis;\n",
  },
  plant('nest-only-at-the-edge', `${SRC}/core/planted-nest.ts`, '@nestjs/common'),
  plant('demo-by-package-name', 'src/planted-relative.ts', '../libs/redis/src/index.js'),
  plant('library-knows-no-user', `${SRC}/planted-demo.ts`, '../../../src/main.js'),
  plant('config-only-from-the-root', `${SRC}/lock/planted-config.ts`, '../config/index.js'),
  plant('testing-only-in-specs', `${SRC}/core/planted-testing.ts`, '../../testing/index.js'),
  plant('no-spec-imported', `${SRC}/core/planted-spec.ts`, './planted.spec.js'),
  { rule: 'no-orphan', file: `${SRC}/core/planted-orphan.ts`, text: 'export const alone = 1;\n' },
  plant('resolvable', `${SRC}/core/planted-unresolvable.ts`, './nowhere.js'),
];

/** What the rules must let pass: a wall in the wrong place is as bad as a missing one. */
const allowed: Readonly<Record<string, string>> = {
  [`${SRC}/lock/allowed.spec.ts`]: "import '../../testing/index.js';\nimport '../core/index.js';\n",
  [`${SRC}/lock/allowed.module.ts`]: "import '@nestjs/common';\nimport '../connection/index.js';\n",
  [`${SRC}/connection/allowed.ts`]: "import 'ioredis';\nimport './embedded/allowed-inner.js';\n",
  [`${SRC}/connection/embedded/allowed-inner.ts`]: "import '../../core/index.js';\n",
  [`${SRC}/config/allowed.ts`]: "import '../redis.options.js';\nimport '../lock/index.js';\n",
  [`${SRC}/allowed-root.ts`]: "import './config/index.js';\nimport './lock/index.js';\n",
  'libs/redis/testing/allowed.ts': "import '../src/connection/index.js';\n",
  'src/allowed.ts': "import '@anbar/nestjs-redis';\nimport '@anbar/nestjs-redis/core';\n",
};

const FLOATING = `${SRC}/core/planted-floating.ts`;
const UNUSED = `${SRC}/core/planted-unused.ts`;
const ANY = `${SRC}/core/planted-any.ts`;

describe('planted violations', () => {
  let tree: PlantedTree;
  let layers: Outcome;
  let unused: Outcome;
  let lint: Outcome;

  beforeAll(async () => {
    tree = await PlantedTree.copy();
    const files = { ...scaffold, ...allowed };
    await Promise.all(Object.entries(files).map(([file, text]) => tree.plant(file, text)));
    await Promise.all(plants.map(({ file, text }) => tree.plant(file, text)));
    await tree.plant(UNUSED, 'export const plantedAndUsed = 1;\nexport const plantedAndUnused = 2;\n');
    await tree.plant(
      `${SRC}/core/planted-user.spec.ts`,
      "import { plantedAndUsed } from './planted-unused.js';\nplantedAndUsed;\n",
    );
    await tree.plant(ANY, 'export function planted(value: any): string {\n  return String(value);\n}\n');
    await tree.plant(FLOATING, 'export function planted(work: () => Promise<void>): void {\n  work();\n}\n');
    [layers, unused, lint] = await Promise.all([
      runScript('layers', '', tree.root),
      runScript('unused', '--reporter json', tree.root),
      runScript('lint', '--format json', tree.root),
    ]);
  }, 180_000);

  afterAll(() => tree.remove());

  it.each(plants)('$rule catches $file', ({ rule, file }) => {
    const caughtBy = findingsOf(layers).filter((finding) => finding.file === file);
    expect(caughtBy.map((finding) => finding.rule)).toContain(rule);
  });

  it('lets pass what the table allows', () => {
    expect(findingsOf(layers).filter(({ file }) => file in allowed)).toEqual([]);
  });

  it('makes `npm run layers` red', () => expect(layers.exitCode).not.toBe(0));

  it('an unused export makes `npm run unused` red', () => {
    const { issues } = parse(unused) as Unused;
    const names = issues.filter(({ file }) => file === UNUSED).flatMap((issue) => issue.exports);
    expect(names.map(({ name }) => name)).toEqual(['plantedAndUnused']);
    expect(unused.exitCode).not.toBe(0);
  });

  it.each([
    ['an `any`', ANY, 'typescript(no-explicit-any)'],
    ['a promise nobody awaits, which takes types to see,', FLOATING, 'typescript(no-floating-promises)'],
  ])('%s makes `npm run lint` red', (_what, file, code) => {
    const { diagnostics } = parse(lint) as Lint;
    expect(diagnostics.filter(({ filename }) => filename === file).map((found) => found.code)).toContain(
      code,
    );
    expect(lint.exitCode).not.toBe(0);
  });
});

describe('the walls', () => {
  it('every rule is an error and has a canary', () => {
    expect(forbidden.filter(({ severity }) => severity !== 'error')).toEqual([]);
    expect([...new Set(plants.map(({ rule }) => rule))].toSorted()).toEqual(
      forbidden.map(({ name }) => name).toSorted(),
    );
  });

  it('stand in the working tree, of which at least 90 % was read', { timeout: 180_000 }, async () => {
    const { modules, summary } = parse(await runScript('layers', '--output-type json')) as Cruise;
    expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);

    const read = new Set(modules.map(({ source }) => source));
    const files = (await readdir(join(REPOSITORY, SRC), { recursive: true }))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `${SRC}/${file.replaceAll('\\', '/')}`);
    const missed = files.filter((file) => !read.has(file));
    expect(files.length).toBeGreaterThan(0);
    expect(missed.length / files.length, `not read: ${missed.join(', ')}`).toBeLessThanOrEqual(0.1);
  });
});

function plant(rule: string, file: string, imported: string): Plant {
  return { rule, file, text: `import '${imported}';\n` };
}

/** Something a room may not import: the first room its line leaves out, else the composition root. */
function beyond(room: string, open: readonly string[]): string {
  const closed = rooms.find((other) => other !== room && !open.includes(other));
  return closed === undefined || open.includes('every room') ? 'redis.module.js' : `${closed}/index.js`;
}

/** What `npm run layers` tells a person: `  error <rule>: <file> → …`. */
function findingsOf({ stdout }: Outcome): { rule: string; file: string }[] {
  const found = stripVTControlCharacters(stdout).matchAll(/^ +error ([\w-]+): (\S+)/gmu);
  return [...found].map(([, rule = '', file = '']) => ({ rule, file }));
}

/** What a tool printed as JSON; the caller names the part it reads. */
function parse({ stdout, stderr }: Outcome): unknown {
  if (stdout === '') throw new Error(`no output: ${stderr}`);
  return JSON.parse(stdout) as unknown;
}
