/**
 * Redis' glob syntax: `*`, `?`, `[abc]`, `[a-z]`, `[^x]`, and `\` before anything that is meant as itself.
 *
 * Redis' own matcher recurses at every star. This one compiles the pattern and remembers the last star
 * only: going back further can never help, so a match takes at most pattern × text steps and no hostile
 * pattern blows it up.
 */

type Token =
  | { readonly kind: 'star' }
  | { readonly kind: 'any' }
  | { readonly kind: 'character'; readonly code: number }
  | {
      readonly kind: 'class';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [number, number])[];
    };

export type GlobMatcher = (text: string) => boolean;

/** A matcher for many texts; for a single one {@link matchesGlob} reads better. */
export function compileGlob(pattern: string): GlobMatcher {
  if (pattern === '*') return () => true;
  const tokens = parseGlob(pattern);
  return (text) => matches(tokens, text);
}

export function matchesGlob(pattern: string, text: string): boolean {
  return compileGlob(pattern)(text);
}

/** Makes a text match itself and nothing else. Everything that is data goes through here. */
export function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^-]/gu, '\\$&');
}

function parseGlob(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < pattern.length) {
    const symbol = pattern[at];
    if (symbol === '[') {
      at = parseClass(pattern, at + 1, tokens);
      continue;
    }
    if (symbol === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
    } else if (symbol === '?') {
      tokens.push({ kind: 'any' });
    } else {
      // A backslash at the very end stands for itself.
      if (symbol === '\\' && at + 1 < pattern.length) at += 1;
      tokens.push({ kind: 'character', code: pattern.charCodeAt(at) });
    }
    at += 1;
  }
  return tokens;
}

/** Reads a class as Redis does: one without its `]` ends with the pattern, and `[a-]` ranges from `a` to `]`. */
function parseClass(pattern: string, start: number, tokens: Token[]): number {
  const ranges: (readonly [number, number])[] = [];
  const negated = pattern[start] === '^';
  let at = negated ? start + 1 : start;
  while (at < pattern.length && pattern[at] !== ']') {
    const escaped = pattern[at] === '\\' && at + 1 < pattern.length;
    if (escaped) at += 1;
    const low = pattern.charCodeAt(at);
    if (!escaped && pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const high = pattern.charCodeAt(at + 2);
      ranges.push(low <= high ? [low, high] : [high, low]);
      at += 3;
    } else {
      ranges.push([low, low]);
      at += 1;
    }
  }
  tokens.push({ kind: 'class', negated, ranges });
  return at + 1;
}

function matches(tokens: readonly Token[], text: string): boolean {
  // A peculiarity of Redis' matcher: stars find nothing in an empty text, a lone one excepted.
  if (text === '') return tokens.length === 0;
  let token = 0;
  let at = 0;
  let afterStar = -1;
  let starAt = 0;
  while (at < text.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      token += 1;
      afterStar = token;
      starAt = at;
    } else if (current !== undefined && accepts(current, text.charCodeAt(at))) {
      token += 1;
      at += 1;
    } else if (afterStar === -1) {
      return false;
    } else {
      // The last star takes one character more, and the rest of the pattern is tried again.
      starAt += 1;
      at = starAt;
      token = afterStar;
    }
  }
  while (tokens[token]?.kind === 'star') token += 1;
  return token === tokens.length;
}

function accepts(token: Token, code: number): boolean {
  if (token.kind === 'any') return true;
  if (token.kind === 'character') return token.code === code;
  if (token.kind === 'star') return false;
  return token.ranges.some(([low, high]) => code >= low && code <= high) !== token.negated;
}
