/**
 * House rules that no other tool checks. What is written in CONTRIBUTING.md is what could not be put here.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { readJson, REPOSITORY } from './planted-tree.js';
import { publicApi } from './public-api.js';
import { pathsBelow, placesOf, sourcesBelow, type Source } from './source-tree.js';

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Locked>>;
}

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const LIBRARY = ['libs/redis/src', 'libs/redis/testing'];
const KINDS = new Set(['utils', 'util', 'helpers', 'helper', 'common', 'types', 'interfaces', 'constants']);
const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/u;

let library: Source[];
let everything: Source[];

beforeAll(async () => {
  library = await sourcesBelow(...LIBRARY);
  everything = [...library, ...(await sourcesBelow('src', 'test'))];
});

describe('names', () => {
  it('no file or folder is named for a technical kind', async () => {
    const paths = await pathsBelow(...LIBRARY, 'src');
    expect(
      paths.filter((path) =>
        lastOf(path)
          .split('.')
          .some((part) => KINDS.has(part)),
      ),
    ).toEqual([]);
  });

  it('files and folders are kebab-case', async () => {
    const paths = await pathsBelow(...LIBRARY, 'src', 'test', 'scripts');
    expect(paths.filter((path) => !KEBAB.test(lastOf(path)))).toEqual([]);
  });
});

describe('modules', () => {
  it('an index.ts lists names and does nothing else', () => {
    const lists = library.filter(({ path }) => lastOf(path) === 'index.ts');
    const busy = lists.flatMap(({ path, tree }) =>
      tree.statements
        .filter((statement) => !listsNames(statement))
        .map((statement) => `${path}: ${statement.getText(tree)}`),
    );
    expect(lists).not.toEqual([]);
    expect(busy).toEqual([]);
  });

  it('nobody writes `export *`', () => {
    expect(placesOf(everything, (node) => ts.isExportDeclaration(node) && !namesAreListed(node))).toEqual([]);
  });

  it('the library has no default exports', () => {
    expect(placesOf(library, isDefaultExport)).toEqual([]);
  });
});

describe('Nest', () => {
  it('every constructor parameter of a decorated class in the library and the demo says what it injects', () => {
    const sources = everything.filter(({ path }) => path.startsWith('libs/') || path.startsWith('src/'));
    expect(placesOf(sources, isBareInjection)).toEqual([]);
  });

  it.each([
    ['@Injectable() class A { constructor(private readonly b: B) {} }', 1],
    ['@Injectable() class A { constructor(@Inject(B) private readonly b: B, @Optional() c?: C) {} }', 1],
    ['@Injectable() class A { constructor(@Inject(B) b: B, @InjectRedis() c: C) {} }', 0],
    ['class A { constructor(private readonly b: B) {} }', 0],
  ])('(of `%s` it finds %i)', (text, found) => {
    const tree = ts.createSourceFile('sample.ts', text, ts.ScriptTarget.Latest, true);
    expect(placesOf([{ path: 'sample.ts', tree }], isBareInjection)).toHaveLength(found);
  });
});

describe('tests', () => {
  it('none is skipped, singled out or promised', () => {
    expect(placesOf(everything, isHeldBack)).toEqual([]);
  });

  it.each([
    ["it.skip('a', run)", 1],
    ["describe.concurrent.only('a', run)", 1],
    ["it.skipIf(slow)('a', run)", 1],
    ["it('a', { todo: true }, run)", 1],
    ["xit('a', run)", 1],
    ["it.each(rows)('a', run); loader.skip()", 0],
  ])('(of `%s` it finds %i)', (text, found) => {
    const tree = ts.createSourceFile('sample.ts', text, ts.ScriptTarget.Latest, true);
    expect(placesOf([{ path: 'sample.ts', tree }], isHeldBack)).toHaveLength(found);
  });
});

describe('the package', () => {
  it('exports each room that has a door, and nothing else', async () => {
    const { exports = {} } = await readJson<Manifest>('libs/redis/package.json');
    const entries = Object.entries(await doors()).map(([entry, source]) => {
      const built = source.replace('libs/redis/', './dist/').replace(/\.ts$/u, '');
      return [entry, { types: `${built}.d.ts`, default: `${built}.js` }] as const;
    });
    expect(exports).toEqual({ ...Object.fromEntries(entries), './package.json': './package.json' });
  });

  it(
    'promises these names (`npx vitest run test/structure/house.spec.ts -u` after a change that is meant)',
    { timeout: 240_000 },
    async () => {
      await expect(publicApi(await doors())).toMatchFileSnapshot('./api.snapshot');
    },
  );

  it('runs nothing when it is installed, and nor does what it brings', async () => {
    const manifests = await Promise.all(
      ['package.json', 'libs/redis/package.json'].map((path) => readJson<Manifest>(path)),
    );
    const names = manifests.flatMap(({ scripts = {} }) => Object.keys(scripts));
    expect(names.filter((name) => /install|prepare/u.test(name))).toEqual([]);

    const { packages } = await readJson<Lockfile>('package-lock.json');
    const running = Object.entries(packages).filter(
      ([, found]) => found.hasInstallScript === true && found.dev !== true,
    );
    // It comes with bullmq, an optional peer: who has no queue on Redis never sees it.
    expect(running.map(([name]) => name)).toEqual(['node_modules/msgpackr-extract']);
  });
});

describe('the lockfile', () => {
  it('names the packages of other platforms too, or `npm ci` refuses it (node scripts/complete-lockfile.mjs)', async () => {
    const { packages } = await readJson<Lockfile>('package-lock.json');
    const wanted = Object.values(packages).flatMap((found) => Object.keys(found.optionalDependencies ?? {}));
    const missing = wanted.filter(
      (name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)),
    );
    expect(missing).toEqual([]);
  });

  it('sends nobody to a particular registry', async () => {
    const text = await readFile(join(REPOSITORY, 'package-lock.json'), 'utf8');
    expect(text.match(/"resolved": "https?:.*/gu)).toBeNull();
  });
});

describe('commands', () => {
  it('there are at most 12 scripts, and check runs all of them but those with a meaning of their own', async () => {
    const names = Object.keys((await readJson<Manifest>('package.json')).scripts ?? {});
    const { stdout } = await promisify(execFile)(process.execPath, ['scripts/check.mjs', '--list'], {
      cwd: REPOSITORY,
    });
    const apart = new Set(['start', 'test', 'check', 'bench', 'faults']);
    expect(names.length).toBeLessThanOrEqual(12);
    expect(stdout.trim().split('\n')).toEqual(names.filter((name) => !apart.has(name)));
  });

  it('CI runs npm ci, npm test and npm run check, in this order and nothing beside', async () => {
    const run = (await readFile(join(REPOSITORY, '.ci/run'), 'utf8')).replace(/^\s*(?:#|echo ).*$/gmu, '');
    expect(run.match(/\bnpm (?:run )?\S+/gu)).toEqual(['npm ci', 'npm test', 'npm run check']);
  });

  it('those the documents name exist', async () => {
    const { scripts = {} } = await readJson<Manifest>('package.json');
    const documents = (await pathsBelow('docs')).filter((path) => path.endsWith('.md'));
    const unknown = await Promise.all(
      ['README.md', 'CONTRIBUTING.md', 'libs/redis/README.md', 'docker-compose.yml', ...documents].map(
        async (path) =>
          commandsIn(await readFile(join(REPOSITORY, path), 'utf8'))
            .filter(({ tool, name }) => !exists(tool, name, scripts))
            .map(({ tool, name }) => `${path}: ${tool} ${name}`),
      ),
    );
    expect(unknown.flat()).toEqual([]);
  });
});

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function listsNames(statement: ts.Statement): boolean {
  return (
    ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined && namesAreListed(statement)
  );
}

function namesAreListed(declaration: ts.ExportDeclaration): boolean {
  return declaration.exportClause !== undefined && ts.isNamedExports(declaration.exportClause);
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true;
}

function isBareInjection(node: ts.Node): boolean {
  if (!ts.isParameter(node) || !ts.isConstructorDeclaration(node.parent)) return false;
  const owner = node.parent.parent;
  if (!ts.canHaveDecorators(owner) || decoratorsOf(owner).length === 0) return false;
  return !decoratorsOf(node).some((name) => name.startsWith('Inject'));
}

function decoratorsOf(node: ts.HasDecorators): string[] {
  return (ts.getDecorators(node) ?? []).map(({ expression }) =>
    (ts.isCallExpression(expression) ? expression.expression : expression).getText(),
  );
}

/** `it.skip`, `describe.only`, `test.todo`, `it.runIf(…)`, `xit(…)`, `it('…', { skip: true })` and the like. */
function isHeldBack(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) {
    return (
      ['skip', 'only', 'todo', 'skipIf', 'runIf'].includes(node.name.text) && isTestFunction(node.expression)
    );
  }
  if (!ts.isCallExpression(node)) return false;
  if (ts.isIdentifier(node.expression)) {
    if (/^(?:x|f)(?:it|test|describe)$/u.test(node.expression.text)) return true;
  }
  return isTestFunction(node.expression) && node.arguments.some(holdsBack);
}

function holdsBack(argument: ts.Expression): boolean {
  if (!ts.isObjectLiteralExpression(argument)) return false;
  return argument.properties.some(
    ({ name }) => name !== undefined && /^(?:skip|only|todo)$/u.test(name.getText()),
  );
}

/** `it`, `it.concurrent`, `describe.each(rows)` …: whatever starts with one of vitest's own. */
function isTestFunction(node: ts.Expression): boolean {
  if (ts.isIdentifier(node)) return ['it', 'test', 'describe', 'suite', 'bench'].includes(node.text);
  if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node))
    return isTestFunction(node.expression);
  return false;
}

/** Entry of the exports map → source file, in the map's order. */
async function doors(): Promise<Record<string, string>> {
  const paths = await pathsBelow('libs/redis/src');
  const rooms = paths.flatMap((path) => /^libs\/redis\/src\/([^/]+)\/index\.ts$/u.exec(path)?.[1] ?? []);
  const entries = rooms.map((room) => [`./${room}`, `libs/redis/src/${room}/index.ts`] as const);
  return {
    '.': 'libs/redis/src/index.ts',
    ...Object.fromEntries(entries),
    './testing': 'libs/redis/testing/index.ts',
  };
}

interface Command {
  readonly tool: string;
  readonly name: string;
}

/** npm scripts and npx programs named in code; `npm ci` and the like belong to npm itself. */
function commandsIn(text: string): Command[] {
  const found = text.matchAll(/\b(npm run|npx)(?: -[\w-]+)* ([a-z@][\w:@/.-]*)|\bnpm (start|test)\b/gu);
  return [...found].map(([, tool = 'npm run', name, short]) => ({ tool, name: name ?? short ?? '' }));
}

function exists(tool: string, name: string, scripts: Readonly<Record<string, string>>): boolean {
  return tool === 'npx' ? existsSync(join(REPOSITORY, 'node_modules/.bin', name)) : name in scripts;
}
