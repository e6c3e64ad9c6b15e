/**
 * Prometheus' own checker: PROMTOOL → PATH → Debian's package in a cache folder. The package takes 19 MB, once for each
 * machine, so what it checks is checked wherever the tests run, and not only where somebody thought of it.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { unpackDebianProgram } from '../topology/index.js';

export interface Checked {
  readonly ok: boolean;
  readonly output: string;
}

let found: Promise<string> | undefined;

/** Runs it, with `input` on its standard input. */
export async function promtool(args: readonly string[], input = ''): Promise<Checked> {
  found ??= findPromtool(process.env);
  const program = await found;
  return new Promise((resolve) => {
    const child = execFile(program, args, (error, stdout, stderr) =>
      resolve({ ok: error === null, output: `${stdout}${stderr}` }),
    );
    child.stdin?.end(input);
  });
}

async function findPromtool(environment: NodeJS.ProcessEnv): Promise<string> {
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const named = [environment['PROMTOOL'] ?? '', ...folders.map((folder) => join(folder, 'promtool'))];
  for (const file of named) if (file !== '' && (await isExecutable(file))) return file;
  const cache = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache');
  const folder = join(cache, 'anbar', 'promtool');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await unpackDebianProgram(
      folder,
      { name: 'prometheus', file: 'usr/bin/promtool' },
      { ...environment, LC_ALL: 'C' },
    );
  } catch (cause) {
    throw new Error(
      'no promtool: neither PROMTOOL nor PATH has it, and the package prometheus could not be had; install it, or name the file in PROMTOOL',
      { cause },
    );
  }
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
