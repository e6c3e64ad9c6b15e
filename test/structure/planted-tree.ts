/**
 * A throw-away copy of the repository to plant violations in. The working tree is never touched, so the canary
 * tests may run beside an editor, a watcher or another test.
 */
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

const COPIED = [
  '.dependency-cruiser.cjs',
  '.oxlintrc.json',
  'knip.json',
  'libs',
  'package.json',
  'scripts',
  'src',
  'test',
  'tsconfig.base.json',
  'tsconfig.build.json',
  'tsconfig.json',
  'vitest.config.ts',
];
const LEFT_OUT = new Set(['node_modules', 'dist', 'coverage']);

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class PlantedTree {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async copy(): Promise<PlantedTree> {
    const root = await mkdtemp(join(tmpdir(), 'anbar-planted-'));
    await Promise.all(
      COPIED.map((path) =>
        cp(join(REPOSITORY, path), join(root, path), {
          recursive: true,
          filter: (source) =>
            !source
              .slice(REPOSITORY.length)
              .split(sep)
              .some((part) => LEFT_OUT.has(part)),
        }),
      ),
    );
    await symlink(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'), 'dir');
    return new PlantedTree(root);
  }

  /** Writes a file unless the tree has it already. */
  async plant(path: string, text: string): Promise<void> {
    const target = join(this.root, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}

/** Runs one of the package's own scripts, as written in package.json, in another folder. */
export async function runScript(name: string, extra: string, folder = REPOSITORY): Promise<Outcome> {
  const { scripts } = await readJson<{ scripts: Record<string, string> }>('package.json');
  const script = scripts[name];
  if (script === undefined) throw new Error(`package.json has no script '${name}'`);
  return new Promise((resolve, reject) => {
    const path = [join(REPOSITORY, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
    const child = spawn(`${script} ${extra}`, {
      cwd: folder,
      shell: true,
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

/** The one place where a JSON file of this repository is taken at its word. */
export async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(join(REPOSITORY, path), 'utf8')) as T;
}
