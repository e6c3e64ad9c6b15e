/**
 * Node 20 runs no TypeScript. These hooks let a child process import it: names as vitest has them, each file transpiled
 * once and kept in node_modules/.cache, so that a child is there in tenths of a second and not in seconds.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIBRARY = join(ROOT, 'libs/redis');
const CACHE = join(ROOT, 'node_modules/.cache/anbar-typescript');
const PACKAGE = /^@anbar\/nestjs-redis(?:\/(?<room>[a-z-]+))?$/u;

const require = createRequire(import.meta.url);
const { version } = require('typescript/package.json');

mkdirSync(CACHE, { recursive: true });

export function resolve(specifier, context, next) {
  const found = PACKAGE.exec(specifier);
  if (found !== null) return { url: pathToFileURL(fileOf(found.groups.room)).href, shortCircuit: true };
  if (specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL?.endsWith('.ts')) {
    const url = new URL(specifier.replace(/\.js$/u, '.ts'), context.parentURL);
    if (existsSync(url)) return { url: url.href, shortCircuit: true };
  }
  return next(specifier, context);
}

export function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  return { format: 'module', source: transpiled(fileURLToPath(url)), shortCircuit: true };
}

function fileOf(room) {
  if (room === undefined) return join(LIBRARY, 'src/index.ts');
  return room === 'testing' ? join(LIBRARY, 'testing/index.ts') : join(LIBRARY, 'src', room, 'index.ts');
}

function transpiled(path) {
  const { mtimeMs, size } = statSync(path);
  const key = createHash('sha1').update(`${version} ${path} ${mtimeMs} ${size}`).digest('hex');
  const kept = join(CACHE, `${key}.mjs`);
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const outputText = transpile(path);
  // Another child may be at the same file: whoever is last puts the same text there.
  const draft = `${kept}.${process.pid}`;
  writeFileSync(draft, outputText);
  renameSync(draft, kept);
  return outputText;
}

/** The compiler takes half a second to load, so it is loaded only for a file that is not kept yet. */
function transpile(path) {
  const ts = require('typescript');
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.base.json'), (file) => ts.sys.readFile(file));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  const compilerOptions = {
    ...options,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    declaration: false,
    sourceMap: false,
    inlineSourceMap: true,
  };
  return ts.transpileModule(readFileSync(path, 'utf8'), { fileName: path, compilerOptions }).outputText;
}
