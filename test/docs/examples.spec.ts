/**
 * Every TypeScript example of the documentation is compiled and run, so that what a reader copies works. A block
 * fenced as `ts` is run; one fenced as `ts compile` needs a server or a terminal and is compiled only.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Example {
  readonly title: string;
  readonly code: string;
  readonly run: boolean;
  readonly file: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'test', 'docs', '.examples');

function pages(): readonly string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  return ['README.md', 'libs/redis/README.md', ...docs.map((name) => join('docs', name))];
}

function examplesOf(page: string): readonly Example[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```ts( compile)?\n([\s\S]*?)^```$/gmu)].map((match, index) => {
    const line = text.slice(0, match.index).split('\n').length;
    const name = `${page.replace(/[^a-z]+/giu, '-').toLowerCase()}-${index}.ts`;
    return {
      title: `${page}:${line}`,
      code: match[2] ?? '',
      run: match[1] === undefined,
      file: join(folder, name),
    };
  });
}

/** What the compiler says of all examples, by file. */
function faultsOf(examples: readonly Example[]): ReadonlyMap<string, readonly string[]> {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram(
    examples.map(({ file }) => file),
    { ...options, noUnusedLocals: false, noUnusedParameters: false },
  );
  const textsOf = (file: string): readonly string[] =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  // Asked for one by one: of the whole program it would check all of the library, which has a check of its own.
  return new Map(examples.map(({ file }) => [file, textsOf(file)]));
}

/** Runs the top level of the example, and boots and closes the module it exports. */
async function run(file: string): Promise<void> {
  const { AppModule } = (await import(/* @vite-ignore */ file)) as { AppModule?: Type };
  if (AppModule === undefined) return;
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  await app.close();
}

describe('examples of the documentation', () => {
  const examples = pages().flatMap(examplesOf);
  let faults: ReadonlyMap<string, readonly string[]> = new Map();

  // The compiler looks at all of them at once, which on a machine with other work to do takes its time.
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { file, code } of examples) writeFileSync(file, `${code}\nexport {};\n`);
    faults = faultsOf(examples);
  }, 240_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are found', () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  it.each(examples)('$title compiles', ({ file }) => {
    expect(faults.get(file) ?? []).toEqual([]);
  });

  it.each(examples.filter((example) => example.run))('$title runs', async ({ file }) => {
    expect(relative(folder, file)).not.toMatch(/^\.\./u);
    await run(file);
  });
});
