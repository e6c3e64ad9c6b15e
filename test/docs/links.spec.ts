/** Links of the documentation lead somewhere, and no page is an island. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
  'libs/redis/README.md',
];

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');
const withoutCode = (text: string): string =>
  text.replace(/^```[\s\S]*?^```$/gmu, '').replace(/`[^`\n]*`/gu, '');

/** As GitHub makes them of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = textOf(page).matchAll(/^#{1,6} (?<heading>.+)$/gmu);
  return new Set(
    [...headings].map(({ groups }) =>
      (groups?.['heading'] ?? '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/gu, '-'),
    ),
  );
}

function linksOf(page: string): readonly string[] {
  const found = withoutCode(textOf(page)).matchAll(/\]\((?<target>[^)\s]+)\)/gu);
  return [...found]
    .map(({ groups }) => groups?.['target'] ?? '')
    .filter((target) => !/^[a-z]+:/u.test(target));
}

function brokenIn(page: string): readonly string[] {
  return linksOf(page).filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : relative(root, resolve(root, dirname(page), path));
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).has(anchor);
  });
}

describe('the documentation', () => {
  it.each(pages)('%s links to what is there', (page) => {
    expect(brokenIn(page)).toEqual([]);
  });

  it('has no page that nobody reaches from the README', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) {
      for (const target of linksOf(page)) {
        const file = relative(root, resolve(root, dirname(page), target.split('#')[0] ?? ''));
        if (file.endsWith('.md') && existsSync(join(root, file))) reached.add(file);
      }
    }
    expect(pages.filter((page) => page.startsWith('docs') && !reached.has(page))).toEqual([]);
  });

  it('is listed for machines, each page once', () => {
    const listed = [...textOf('llms.txt').matchAll(/\]\((?<page>[^)]+)\)/gu)].map(
      ({ groups }) => groups?.['page'] ?? '',
    );
    const wanted = pages.filter((page) => /^docs\/(?!evidence\/)/u.test(page));
    expect(
      listed.filter((page) => page.startsWith('docs/') && !page.startsWith('docs/evidence/')).toSorted(),
    ).toEqual(wanted.toSorted());
    expect(listed.filter((page) => !existsSync(join(root, page)))).toEqual([]);
  });
});
