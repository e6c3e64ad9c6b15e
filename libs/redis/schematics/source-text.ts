/**
 * TypeScript read as far as an import and a module's decorator take: enough to find brackets that are code. The
 * compiler would be surer, but which one a project has, and whether it can be asked, is not for us to know.
 */

/** The text with everything that is no code made blank: comments, and what stands in strings and templates. */
export function codeOf(text: string): string {
  let code = '';
  let at = 0;
  while (at < text.length) {
    const end = endOfBlank(text, at);
    if (end === at) {
      code += text[at];
      at += 1;
    } else {
      code += text.slice(at, end).replace(/[^\n]/gu, ' ');
      at = end;
    }
  }
  return code;
}

/** Where what begins here and is no code ends; the same place when it is code. */
function endOfBlank(text: string, at: number): number {
  if (text.startsWith('//', at)) return orEnd(text, text.indexOf('\n', at));
  if (text.startsWith('/*', at)) return orEnd(text, text.indexOf('*/', at + 2), 2);
  const quote = text[at];
  if (quote !== "'" && quote !== '"' && quote !== '`') return at;
  let end = at + 1;
  while (end < text.length && text[end] !== quote) {
    // A quote that is not closed on its line is none: it stands in a regular expression.
    if (text[end] === '\n' && quote !== '`') return at;
    end += text[end] === '\\' ? 2 : 1;
  }
  return Math.min(end + 1, text.length);
}

function orEnd(text: string, found: number, beyond = 0): number {
  return found === -1 ? text.length : found + beyond;
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** The place of the bracket that closes the one at `open`; `undefined` when there is none. */
export function closingOf(code: string, open: number): number | undefined {
  const expected: string[] = [];
  for (let at = open; at < code.length; at += 1) {
    const char = code[at] ?? '';
    const closing = CLOSING[char];
    if (closing !== undefined) expected.push(closing);
    else if (')]}'.includes(char) && char !== expected.pop()) return undefined;
    if (expected.length === 0) return at;
  }
  return undefined;
}

/** Where the value of a property of the object literal at `open` begins; of its own, not of one within it. */
export function propertyAt(code: string, open: number, name: string): number | undefined {
  const end = closingOf(code, open);
  if (end === undefined) return undefined;
  let at = open + 1;
  while (at < end) {
    if (CLOSING[code[at] ?? ''] !== undefined) at = closingOf(code, at) ?? end;
    const found = new RegExp(`^${name}\\s*:\\s*`, 'u').exec(code.slice(at, end));
    if (found !== null && /[\s,{]/u.test(code[at - 1] ?? '')) return at + found[0].length;
    at += 1;
  }
  return undefined;
}

/** Whether the object literal at `open` may have that property where {@link propertyAt} does not see it. */
export function mayHide(code: string, open: number, name: string): boolean {
  const own = ownCode(code, open);
  const inShort = new RegExp(`(?:^|,)\\s*${name}\\s*(?:,|$)`, 'u');
  // A name in quotes is blank in code, and so is a computed one once its brackets are.
  const isBlank = /(?:^|,)\s*:/u;
  return own.includes('...') || inShort.test(own) || isBlank.test(own);
}

/** What stands in the literal itself; all that has brackets of its own is blank. */
function ownCode(code: string, open: number): string {
  const end = closingOf(code, open) ?? open;
  let own = '';
  for (let at = open + 1; at < end; at += 1) {
    const close = CLOSING[code[at] ?? ''] === undefined ? undefined : closingOf(code, at);
    own += close === undefined ? (code[at] ?? '') : ' ';
    at = close ?? at;
  }
  return own;
}

/** The indentation of the line that `at` is on. */
export function indentAt(text: string, at: number): string {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
  return /^[ \t]*/u.exec(line)?.[0] ?? '';
}
