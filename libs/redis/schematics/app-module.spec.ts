/** Modules that `nest add` has to leave alone, or to change without changing what they are. */
import { expect, it } from 'vitest';
import { addToModule, type Edited } from './app-module.js';
import { nestAdd, type Tree } from './nest-add.js';

const WANTED = { name: 'RedisModule', from: '@anbar/nestjs-redis', entry: 'RedisModule.forRoot()' } as const;

const moduleOf = (metadata: string): string =>
  `import { Module } from '@nestjs/common';\n\n@Module(${metadata})\nexport class AppModule {}\n`;

const edit = (text: string): Edited => addToModule(text, WANTED);

it.each(['@nestjs-modules/ioredis', '@liaoliaots/nestjs-redis'])(
  'the RedisModule of %s is not taken for ours where it is in use',
  (other) => {
    const text = `import { RedisModule } from '${other}';\n${moduleOf('{ imports: [RedisModule.forRoot({})] }')}`;
    expect(edit(text)).toEqual({ outcome: 'refused', why: `RedisModule there is that of '${other}'` });
  },
);

it.each([
  ['in short', '{ imports, providers: [Books] }'],
  ['in short and alone', '{ imports }'],
  ['as the last one', '{\n  providers: [Books],\n  imports,\n}'],
  ['in quotes', "{ 'imports': [Books], providers: [] }"],
  ['by another name', '{ [key]: [Books] }'],
  ['by something else', '{ ...shared, providers: [Books] }'],
])('imports that are given %s are left as they are', (_how, metadata) => {
  expect(edit(moduleOf(metadata))).toEqual({
    outcome: 'refused',
    why: '`imports` of its @Module is no list that can be read here',
  });
});

it('what is spread, short or in quotes further in, or beside a list of imports, is no reason', () => {
  const metadata = "{ providers: [{ 'imports': 1, ...more, imports }], controllers: on ? [A] : [] }";
  expect(edit(moduleOf(metadata))).toMatchObject({ outcome: 'changed' });
  expect(edit(moduleOf('{ ...shared, imports: [Books] }'))).toMatchObject({
    text: expect.stringContaining('{ ...shared, imports: [Books, RedisModule.forRoot()] }') as unknown,
  });
});

it.each([
  ['on one line', '{ imports: [A] }'],
  ['on several', '{\n  imports: [\n    A, // first\n    B,\n  ],\n}'],
  ['without imports', '{\n  providers: [],\n}'],
])('lines that end as on Windows go on doing so: %s', (_how, metadata) => {
  const text = moduleOf(metadata);
  const unix = edit(text);
  const windows = edit(text.replaceAll('\n', '\r\n'));
  if (unix.outcome !== 'changed' || windows.outcome !== 'changed') throw new Error('it was not changed');
  expect(windows.text).toBe(unix.text.replaceAll('\n', '\r\n'));
});

it.each([
  ['^12.11.0', '^12.0.0'],
  ['^11', '^11.0.0'],
  ['11.0.5', '^11.0.0'],
])('Terminus is of the number of Nest %s', (nest, terminus) => {
  const manifest = JSON.stringify({ dependencies: { '@nestjs/core': nest } });
  const written = new Map<string, string>();
  const tree: Tree = {
    read: (path) => (path === 'package.json' ? Buffer.from(manifest) : null),
    overwrite: (path, content) => void written.set(path, content),
    create: () => undefined,
  };
  nestAdd({ health: true })(tree, { logger: { info: () => undefined, warn: () => undefined } });
  expect(written.get('package.json')).toContain(`"@nestjs/terminus": "${terminus}"`);
});
