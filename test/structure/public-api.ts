/** What users can import, entry by entry: the names behind each path of the library's `exports` map. */
import { join } from 'node:path';
import ts from 'typescript';
import { REPOSITORY } from './planted-tree.js';

/** `entries` maps a path of the exports map to its source file; the answer is text to be compared as a whole. */
export function publicApi(entries: Readonly<Record<string, string>>): string {
  const files = Object.values(entries).map((file) => join(REPOSITORY, file));
  const program = ts.createProgram(files, compilerOptions());
  const checker = program.getTypeChecker();
  const sections = Object.entries(entries).map(([entry, file]) => {
    const source = program.getSourceFile(join(REPOSITORY, file));
    const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (symbol === undefined) throw new Error(`${file} exports nothing`);
    const names = checker
      .getExportsOfModule(symbol)
      .map((exported) => `${exported.name} (${kindOf(exported, checker)})`);
    return [entry, ...names.toSorted().map((name) => `  ${name}`)].join('\n');
  });
  return `${sections.join('\n\n')}\n`;
}

function compilerOptions(): ts.CompilerOptions {
  const file = join(REPOSITORY, 'tsconfig.json');
  const read = ts.readConfigFile(file, (path) => ts.sys.readFile(path));
  return {
    ...ts.parseJsonConfigFileContent(read.config, ts.sys, REPOSITORY).options,
    noLib: true,
    types: [],
  };
}

function kindOf(exported: ts.Symbol, checker: ts.TypeChecker): string {
  const aliased = (exported.flags & ts.SymbolFlags.Alias) !== 0;
  const { flags } = aliased ? checker.getAliasedSymbol(exported) : exported;
  const onlyType = exported.declarations?.some(ts.isTypeOnlyExportDeclaration) === true;
  if (onlyType || (flags & ts.SymbolFlags.Value) === 0) return 'type';
  if ((flags & ts.SymbolFlags.Class) !== 0) return 'class';
  if ((flags & ts.SymbolFlags.Function) !== 0) return 'function';
  return 'const';
}
