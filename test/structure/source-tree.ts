/** The repository's own sources, as the structure tests look at them: file names, and syntax trees. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { REPOSITORY } from './planted-tree.js';

/** With the examples of the documentation, which another file of tests writes out meanwhile. */
const LEFT_OUT = /(^|\/)(node_modules|dist|coverage|\.examples)(\/|$)/u;

export interface Source {
  readonly path: string;
  readonly tree: ts.SourceFile;
}

/** Files and folders below `folders`, from the repository's root, with `/` between the parts. */
export async function pathsBelow(...folders: readonly string[]): Promise<string[]> {
  const listed = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(REPOSITORY, folder), { recursive: true })).map(
        (path) => `${folder}/${path.replaceAll('\\', '/')}`,
      ),
    ),
  );
  return listed
    .flat()
    .filter((path) => !LEFT_OUT.test(path))
    .toSorted();
}

export async function sourcesBelow(...folders: readonly string[]): Promise<Source[]> {
  const paths = (await pathsBelow(...folders)).filter((path) => path.endsWith('.ts'));
  return Promise.all(
    paths.map(async (path) => ({
      path,
      tree: ts.createSourceFile(
        path,
        await readFile(join(REPOSITORY, path), 'utf8'),
        ts.ScriptTarget.Latest,
        true,
      ),
    })),
  );
}

/** `path:line` of every node that `matches`, for a message one can click on. */
export function placesOf(sources: readonly Source[], matches: (node: ts.Node) => boolean): string[] {
  return sources.flatMap(({ path, tree }) =>
    nodesOf(tree)
      .filter(matches)
      .map((node) => `${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`),
  );
}

function nodesOf(root: ts.Node): ts.Node[] {
  const found: ts.Node[] = [root];
  ts.forEachChild(root, (child) => void found.push(...nodesOf(child)));
  return found;
}
