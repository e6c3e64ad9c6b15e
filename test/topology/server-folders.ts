/**
 * The temporary folders of this process's servers, and the watcher that outlives the process: it holds a pipe whose end
 * of file means "the parent died", however it died (exit, signal, uncaught error, `kill -9`), kills what is left and
 * removes the folders. One mechanism for every way to die, so no signal handler is needed here.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readlink, realpath, rm, rmdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The variable by which the workers of a test run learn the run's folder, to put theirs into it. */
const RUN_FOLDER = 'ANBAR_TOPOLOGY_FOLDER';

/**
 * A server writes its pid before it becomes the server (see redis-process.ts). One that has not done so yet when the
 * folder goes finds no configuration and ends by itself, so nothing slips through between spawn and pid file.
 */
const WATCHER = `
trap '' HUP INT TERM
while read -r _; do :; done
for file in "$1"/*/container "$1"/*/*/container; do [ -e "$file" ] && docker rm -f "$(cat "$file")"; done
for file in "$1"/*/pid "$1"/*/*/pid; do [ -e "$file" ] && kill -9 "$(cat "$file")"; done
tries=0
until rm -rf "$1" || [ $tries -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
`;

let watched: string | undefined;

/** This process's folder; made, and watched, at the first use. */
function processFolder(): string {
  if (watched !== undefined) return watched;
  watched = mkdtempSync(join(process.env[RUN_FOLDER] ?? tmpdir(), `anbar-topology-${process.pid}-`));
  const watcher = spawn('/bin/sh', ['-c', WATCHER, 'anbar-topology-watcher', watched], {
    // A session of its own: Ctrl-C in the terminal must reach the tests, not their last line of defence.
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.unref();
  if (watcher.stdin instanceof Socket) watcher.stdin.unref();
  return watched;
}

/** Makes this process's folder that of the whole run: what any worker leaves behind then lies in one place. */
export function openRunFolder(): string {
  process.env[RUN_FOLDER] = processFolder();
  return processFolder();
}

export async function closeRunFolder(): Promise<void> {
  Reflect.deleteProperty(process.env, RUN_FOLDER);
  await rm(processFolder(), { recursive: true, force: true });
}

/** A new empty folder for one server. */
export async function makeServerFolder(): Promise<string> {
  const parent = processFolder();
  await mkdir(parent, { recursive: true });
  return mkdtemp(join(parent, 'server-'));
}

/** Removes a server's folder, and with the last one the process's folder, unless the run's workers live in it. */
export async function removeServerFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  if (process.env[RUN_FOLDER] !== watched) await rmdir(processFolder()).catch(() => undefined);
}

async function processesIn(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  // A server's working directory is its folder; the link names it even after the folder is gone.
  return pids.filter((_, index) => places[index]?.startsWith(`${folder}/`));
}

/** What servers left in a run's folder: folders still there and, where /proc tells, processes still alive. */
export async function leftovers(folder: string): Promise<string[]> {
  const real = await realpath(folder).catch(() => folder);
  const entries = await readdir(folder).catch(() => []);
  const pids = await processesIn(real);
  return [...entries.map((name) => `folder ${join(folder, name)}`), ...pids.map((pid) => `process ${pid}`)];
}
