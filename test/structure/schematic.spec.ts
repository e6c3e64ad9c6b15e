/** `nest add`: what it makes of application modules as people write them, judged by the compiler. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { nestAdd, type NestAddOptions } from '../../libs/redis/schematics/nest-add.js';
import { readJson, REPOSITORY } from './planted-tree.js';

const PATH = 'src/app.module.ts';

/** Files in memory, as the schematics engine shows them. */
class MemoryTree {
  readonly files: Map<string, string>;

  constructor(files: Readonly<Record<string, string>>) {
    this.files = new Map(Object.entries(files));
  }

  read(path: string): Buffer | null {
    const text = this.files.get(path);
    return text === undefined ? null : Buffer.from(text);
  }

  overwrite(path: string, content: string): void {
    if (!this.files.has(path)) throw new Error(`${path} does not exist`);
    this.files.set(path, content);
  }

  create(path: string, content: string): void {
    if (this.files.has(path)) throw new Error(`${path} exists`);
    this.files.set(path, content);
  }
}

function run(files: Readonly<Record<string, string>>, options: NestAddOptions = {}) {
  const tree = new MemoryTree({ 'package.json': '{}', ...files });
  const told: string[] = [];
  const tell = (message: string): void => void told.push(message);
  nestAdd(options)(tree, { logger: { info: tell, warn: tell } });
  return { tree, told: told.join('\n'), file: (path: string) => tree.files.get(path) ?? '' };
}

const added = (text: string, options?: NestAddOptions) => run({ [PATH]: text }, options).file(PATH);

/** What the compiler reads: the names imported from where, and the entries of `imports`. */
function readBack(text: string): { imports: string[]; names: string[]; faults: number } {
  const tree = ts.createSourceFile('app.module.ts', text, ts.ScriptTarget.Latest, true);
  const names: string[] = [];
  const imports: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const { namedBindings } = node.importClause ?? {};
      if (namedBindings !== undefined && ts.isNamedImports(namedBindings)) {
        const from = ts.isStringLiteral(node.moduleSpecifier) ? node.moduleSpecifier.text : '';
        names.push(...namedBindings.elements.map(({ name }) => `${name.text} of ${from}`));
      }
    }
    if (
      ts.isPropertyAssignment(node) &&
      node.name.getText() === 'imports' &&
      ts.isArrayLiteralExpression(node.initializer)
    ) {
      imports.push(...node.initializer.elements.map((element) => element.getText()));
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  const { parseDiagnostics } = tree as unknown as { parseDiagnostics: readonly unknown[] };
  return { imports, names, faults: parseDiagnostics.length };
}

const SCAFFOLD = `import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';

@Module({
  imports: [],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
`;

describe('the application module', () => {
  it('of a new project', () => {
    expect(added(SCAFFOLD)).toBe(`import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';
import { RedisModule } from '@anbar/nestjs-redis';

@Module({
  imports: [RedisModule.forRoot()],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
`);
  });

  const HEAD = "import { Module } from '@nestjs/common';\nimport { A, B } from './ab';\n";
  it.each<[string, string, readonly string[]]>([
    ['on one line', '@Module({ imports: [A, B] })\nclass AppModule {}', ['A', 'B']],
    ['on one line with a last comma', '@Module({ imports: [A, B,] })\nclass AppModule {}', ['A', 'B']],
    ['on several lines', '@Module({\n  imports: [\n    A,\n    B\n  ],\n})\nclass AppModule {}', ['A', 'B']],
    ['with last commas', '@Module({\n  imports: [\n    A,\n    B,\n  ],\n})\nclass AppModule {}', ['A', 'B']],
    [
      'with comments, brackets and quotes in them',
      "@Module({\n  // imports: [no],\n  imports: [\n    A, // the first [\n    B, /* don't } */\n    // C,\n  ],\n})\nclass AppModule {}",
      ['A', 'B'],
    ],
    [
      'with calls and objects of their own',
      "@Module({\n  providers: [{ provide: 'imports: [x]', useValue: { imports: [1] } }],\n  imports: [\n    A.forRoot({\n      imports: [B],\n      path: `a[${1}]`,\n    }),\n  ],\n})\nclass AppModule {}",
      ['A.forRoot({\n      imports: [B],\n      path: `a[${1}]`,\n    })', 'B', '1'],
    ],
    [
      'that begins and ends on a line of an item',
      '@Module({\n  imports: [A,\n    B],\n})\nclass AppModule {}',
      ['A', 'B'],
    ],
    ['without imports', '@Module({\n  providers: [A],\n})\nclass AppModule {}', []],
    ['without imports, on one line', '@Module({ providers: [A] })\nclass AppModule {}', []],
    ['with nothing', '@Module({})\nclass AppModule {}', []],
    ['with a comment alone', '@Module({\n  imports: [\n    // none yet\n  ],\n})\nclass AppModule {}', []],
    [
      'beside another module',
      '@Module({ imports: [A] })\nclass OtherModule {}\n\n@Module({ imports: [B] })\nexport class AppModule {}',
      ['A', 'B'],
    ],
    [
      'with a guard by regular expression',
      'const quote = /[\'"]/u;\n@Module({ imports: [A] })\nclass AppModule {}',
      ['A'],
    ],
  ])('%s', (_what, body, before) => {
    const text = added(HEAD + body);
    const { imports, names, faults } = readBack(text);
    expect(faults, text).toBe(0);
    expect(imports.toSorted(), text).toEqual([...before, 'RedisModule.forRoot()'].toSorted());
    expect(names).toEqual([
      'Module of @nestjs/common',
      'A of ./ab',
      'B of ./ab',
      'RedisModule of @anbar/nestjs-redis',
    ]);
    // Every line there was is there yet, but for a comma and what has been put in.
    expect(text.replace(/RedisModule.*|,/gu, '').length).toBeGreaterThan(0);
    expect(added(text), 'a second time').toBe(text);
  });

  it('keeps the quotes and the missing semicolons of the file', () => {
    const text = added(
      'import { Module } from "@nestjs/common"\n@Module({ imports: [] })\nclass AppModule {}\n',
    );
    expect(text).toContain('import { RedisModule } from "@anbar/nestjs-redis"\n');
  });

  it('adds to an import of the package that is there, and not to one of types', () => {
    const one = added(`import { InjectRedis } from '@anbar/nestjs-redis';\n${SCAFFOLD}`);
    expect(readBack(one).names.slice(0, 2)).toEqual([
      'InjectRedis of @anbar/nestjs-redis',
      'RedisModule of @anbar/nestjs-redis',
    ]);
    const typed = added(`import type { Key } from '@anbar/nestjs-redis';\n${SCAFFOLD}`);
    expect(typed).toContain("import type { Key } from '@anbar/nestjs-redis';");
    expect(typed).toContain("\nimport { RedisModule } from '@anbar/nestjs-redis';");
  });

  it('imports the module alone when only the entry is missing', () => {
    const text = added(`import { RedisModule } from '@anbar/nestjs-redis';\n${SCAFFOLD}`);
    expect(text.match(/import \{ RedisModule/gu)).toHaveLength(1);
    expect(readBack(text).imports).toEqual(['RedisModule.forRoot()']);
  });

  it.each([
    ['forRoot', SCAFFOLD.replace('[]', '[RedisModule.forRoot({ url })]')],
    ['forRootAsync', SCAFFOLD.replace('[]', '[RedisModule.forRootAsync({ useClass: Settings })]')],
  ])('leaves a module that has %s as it is', (_how, text) => {
    const { file, told } = run({ [PATH]: text });
    expect(file(PATH)).toBe(text);
    expect(told).toContain('has RedisModule already');
  });

  it.each([
    [
      'imports that are a variable',
      'const imports = [];\n@Module({ imports: imports })\nclass AppModule {}',
      'no list',
    ],
    ['no module at all', 'export const nothing = 1;\n', 'there is no @Module'],
    ['a decorator made elsewhere', '@Module(metadata)\nclass AppModule {}', 'there is no @Module'],
    ['several modules, none of that name', '@Module({})\nclass X {}\n@Module({})\nclass Y {}', 'several'],
    [
      'a RedisModule of another package',
      "import { RedisModule } from '@liaoliaots/nestjs-redis';\n@Module({ imports: [] })\nclass AppModule {}",
      "of '@liaoliaots/nestjs-redis'",
    ],
    ['a text that is cut off', '@Module({ imports: [A, (B] })\nclass AppModule {}', 'do not fit'],
  ])('says so and what to write for %s', (_what, text, why) => {
    const { file, told } = run({ [PATH]: text });
    expect(file(PATH)).toBe(text);
    expect(told).toContain(why);
    expect(told).toContain("import { RedisModule } from '@anbar/nestjs-redis';");
    expect(told).toContain('imports: [RedisModule.forRoot()]');
  });

  it('is looked for where the sources are', () => {
    const { file } = run({ 'apps/shop/src/app.module.ts': SCAFFOLD }, { sourceRoot: 'apps/shop/src' });
    expect(file('apps/shop/src/app.module.ts')).toContain('RedisModule.forRoot()');
    expect(run({}).told).toContain('there is no src/app.module.ts');
  });

  it('gets the routes that were asked for', () => {
    const { imports, names } = readBack(added(SCAFFOLD, { health: true, metrics: true }));
    expect(imports).toEqual([
      'RedisModule.forRoot()',
      'RedisHealthModule.forRoot()',
      'RedisMetricsModule.forRoot()',
    ]);
    expect(names.slice(-2)).toEqual([
      'RedisHealthModule of @anbar/nestjs-redis/monitoring',
      'RedisMetricsModule of @anbar/nestjs-redis/monitoring',
    ]);
  });
});

describe('the other files', () => {
  it('package.json gets what is asked for from outside, in its own form, and keeps what is there', () => {
    const before =
      '{\n    "name": "shop",\n    "dependencies": {\n        "class-validator": "^0.14.0"\n    }\n}\n';
    const { file, told } = run({ 'package.json': before });
    expect(file('package.json')).toBe(
      '{\n    "name": "shop",\n    "dependencies": {\n        "class-transformer": "^0.5.1",\n        "class-validator": "^0.14.0"\n    }\n}\n',
    );
    expect(told).toContain('class-transformer now');
  });

  it.each([
    ['^12.1.0', '^12.0.0'],
    ['~11.1.3', '^11.0.0'],
  ])('Terminus is of the number of Nest %s', (nest, terminus) => {
    const { file } = run(
      { 'package.json': JSON.stringify({ dependencies: { '@nestjs/core': nest } }) },
      { health: true, metrics: true },
    );
    expect(JSON.parse(file('package.json'))).toMatchObject({
      dependencies: { '@nestjs/terminus': terminus, 'prom-client': '^15.1.3' },
    });
  });

  it('.env.example is made, or added to, and not twice', () => {
    expect(run({}).file('.env.example')).toContain('\nREDIS_URL=redis://localhost:6379\n');
    const { file } = run({ '.env.example': 'PORT=3000\n' });
    expect(file('.env.example')).toMatch(/^PORT=3000\n\n# Redis\./u);
    const there = 'REDIS_URL=redis://elsewhere\n';
    expect(run({ '.env.example': there }).file('.env.example')).toBe(there);
  });

  it('docker-compose.yml is made when asked for, and never written over', () => {
    expect(run({}).tree.files.has('docker-compose.yml')).toBe(false);
    expect(run({}, { docker: true }).file('docker-compose.yml')).toContain('--appendonly yes');
    const { tree, told } = run({ 'compose.yaml': 'services: {}\n' }, { docker: true });
    expect(tree.files.has('docker-compose.yml')).toBe(false);
    expect(told).toContain('redis:7-alpine');
  });
});

describe('the package', () => {
  it('says where its schematics are, and they name a factory and options that exist', async () => {
    const { schematics } = await readJson<{ schematics: string }>('libs/redis/package.json');
    expect(schematics).toBe('./schematics/collection.json');
    const collection = await readJson<{
      schematics: { 'nest-add': { factory: string; schema: string } };
    }>('libs/redis/schematics/collection.json');
    const { factory, schema } = collection.schematics['nest-add'];
    expect(factory).toBe('../dist/schematics/nest-add.js#nestAdd');
    const { properties } = await readJson<{ properties: object }>(join('libs/redis/schematics', schema));
    const options: Required<NestAddOptions> = { sourceRoot: '', health: true, metrics: true, docker: true };
    expect(Object.keys(properties)).toEqual(Object.keys(options));
    const text = await readFile(join(REPOSITORY, 'libs/redis/schematics/nest-add.ts'), 'utf8');
    expect(text.match(/^import .* from '(?!\.)/gmu), 'it needs no package at run time').toBeNull();
  });
});
