/** Puts an import and an entry of `imports` into the file of a Nest module, or says why it can not. */
import { closingOf, codeOf, indentAt, mayHide, propertyAt } from './source-text.js';

/** One module to be imported: `{ name: 'RedisModule', from: '@anbar/nestjs-redis', entry: 'RedisModule.forRoot()' }`. */
export interface Wanted {
  readonly name: string;
  readonly from: string;
  readonly entry: string;
}

export type Edited =
  | { readonly outcome: 'changed'; readonly text: string }
  | { readonly outcome: 'there' }
  | { readonly outcome: 'refused'; readonly why: string };

export function addToModule(text: string, wanted: Wanted): Edited {
  if (!endsAsOnWindows(text)) return addToText(text, wanted);
  const edited = addToText(text.replaceAll('\r\n', '\n'), wanted);
  if (edited.outcome !== 'changed') return edited;
  return { outcome: 'changed', text: edited.text.replaceAll('\n', '\r\n') };
}

/** Each of its lines: where there are both ends, neither is the one that is kept to. */
function endsAsOnWindows(text: string): boolean {
  return text.includes('\r\n') && !/(?<!\r)\n/u.test(text);
}

function addToText(text: string, wanted: Wanted): Edited {
  const code = codeOf(text);
  const imported = importedFrom(text, code, wanted.name);
  // First of all, as other packages have a `RedisModule.forRoot` as well.
  if (imported !== undefined && imported !== wanted.from) {
    return refused(`${wanted.name} there is that of '${imported}'`);
  }
  if (new RegExp(`\\b${wanted.name}\\s*\\.\\s*forRoot`, 'u').test(code)) return { outcome: 'there' };
  const entered = withEntry(text, code, wanted.entry);
  if (typeof entered !== 'string') return entered;
  return { outcome: 'changed', text: imported === undefined ? withImport(entered, wanted) : entered };
}

function refused(why: string): Edited {
  return { outcome: 'refused', why };
}

interface ImportStatement {
  readonly start: number;
  readonly end: number;
  /** Places of the braces, where there are some. */
  readonly open: number;
  readonly close: number;
  readonly from: string;
}

/** The import statements at the head of the file, in their order. */
function importsOf(text: string, code: string): ImportStatement[] {
  const found: ImportStatement[] = [];
  for (const match of code.matchAll(/^import\b/gmu)) {
    const rest = text.slice(match.index);
    const statement =
      /^import\s*(?:(?:type\s+)?[\w$*\s,]*(?:\{[^}]*\})?\s*from\s*)?(['"])(.+?)\1[^\n;]*;?/u.exec(rest);
    if (statement === null) continue;
    const [whole, , from = ''] = statement;
    const open = whole.indexOf('{');
    const at = match.index;
    const close = whole.indexOf('}');
    found.push({
      start: at,
      end: at + whole.length,
      open: open === -1 ? -1 : at + open,
      close: close === -1 ? -1 : at + close,
      from,
    });
  }
  return found;
}

/** The package a name of this file comes from. */
function importedFrom(text: string, code: string, name: string): string | undefined {
  const named = new RegExp(`\\b${name}\\b`, 'u');
  return importsOf(text, code).find(({ start, end }) => named.test(code.slice(start, end)))?.from;
}

function withEntry(text: string, code: string, entry: string): string | Edited {
  const open = moduleLiteral(code);
  if (typeof open !== 'number') return open;
  const at = propertyAt(code, open, 'imports');
  // A second property of that name would take the place of what is there, or give way to it.
  const isHidden = at === undefined && mayHide(code, open, 'imports');
  if (isHidden || (at !== undefined && code[at] !== '[')) {
    return refused('`imports` of its @Module is no list that can be read here');
  }
  if (at === undefined) return withImports(text, code, { open, entry });
  const close = closingOf(code, at);
  if (close === undefined) return refused('the brackets of `imports` do not fit together');
  return withItem(text, code, { open: at, close, item: entry });
}

/** The braces of `@Module({ … })`: of the only one there is, or of that of `AppModule`. */
function moduleLiteral(code: string): number | Edited {
  const found = [...code.matchAll(/@Module\s*\(\s*\{/gu)].map(({ index, 0: match }) => ({
    open: index + match.length - 1,
    name: /\bclass\s+([\w$]+)/u.exec(code.slice(index))?.[1],
  }));
  const [first] = found.length === 1 ? found : found.filter(({ name }) => name === 'AppModule');
  if (first !== undefined) return first.open;
  return refused(found.length === 0 ? 'there is no @Module({ … }) in it' : 'there are several modules in it');
}

/** A module without `imports` gets them, as its first property and as its properties are written. */
function withImports(
  text: string,
  code: string,
  { open, entry }: { open: number; entry: string },
): string | Edited {
  const close = closingOf(code, open);
  if (close === undefined) return refused('the brackets of its @Module do not fit together');
  const inside = code.slice(open + 1, close);
  const property = `imports: [${entry}]`;
  if (inside.trim() === '' && text.slice(open + 1, close).trim() === '')
    return `${text.slice(0, open)}{ ${property} }${text.slice(close + 1)}`;
  if (!inside.includes('\n')) return `${text.slice(0, open + 1)} ${property},${text.slice(open + 1)}`;
  const indent = `${indentAt(text, open)}  `;
  return `${text.slice(0, open + 1)}\n${indent}${property},${text.slice(open + 1)}`;
}

/** One more item at the end of a list, as the list is written: on one line or on several, with a last comma or not. */
function withItem(
  text: string,
  code: string,
  { open, close, item }: { open: number; close: number; item: string },
): string {
  const inside = code.slice(open + 1, close);
  if (inside.trim() === '') {
    // A comment may stand there; the item goes before it.
    return `${text.slice(0, open + 1)}${item}${text.slice(open + 1)}`;
  }
  const last = open + 1 + inside.trimEnd().length;
  const closed = inside.trimEnd().endsWith(',');
  // What stands behind the last item is a comment on it, and goes on doing so.
  const comma = closed ? '' : ',';
  const lines = inside.includes('\n');
  if (!lines) return `${text.slice(0, last)}${comma} ${item}${closed ? ',' : ''}${text.slice(last)}`;
  const lineEnd = Math.min(endOfLine(text, last), close);
  const indent = indentAt(text, last);
  const head = `${text.slice(0, last)}${comma}${text.slice(last, lineEnd)}`;
  return `${head.trimEnd()}\n${indent}${item}${closed ? ',' : ''}${lineEnd === close ? `\n${indentAt(text, open)}` : ''}${text.slice(lineEnd)}`;
}

function endOfLine(text: string, at: number): number {
  const found = text.indexOf('\n', at);
  return found === -1 ? text.length : found;
}

/** Into the braces of an import from that package, or as a statement after the last one. */
function withImport(text: string, { name, from }: Wanted): string {
  const code = codeOf(text);
  const statements = importsOf(text, code);
  const same = statements.find(
    ({ start, open, from: its }) =>
      its === from && open !== -1 && !/^import\s+type\b/u.test(text.slice(start)),
  );
  if (same !== undefined) {
    return withItem(text, code, { open: same.open, close: same.close, item: name });
  }
  const last = statements.at(-1);
  const quote = last !== undefined && text.slice(last.start, last.end).includes('"') ? '"' : "'";
  const semicolon = last === undefined || text.slice(last.start, last.end).endsWith(';') ? ';' : '';
  const statement = `import { ${name} } from ${quote}${from}${quote}${semicolon}`;
  if (last === undefined) return `${statement}\n${text}`;
  const lineEnd = endOfLine(text, last.end);
  return `${text.slice(0, lineEnd)}\n${statement}${text.slice(lineEnd)}`;
}
