/** Real servers never outlive the tests, however the tests end; shared ones are started once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { admin, shared, until, type AdminTarget } from '../topology/index.js';

interface Abandoned {
  readonly pid: number;
  readonly port: number;
  readonly folder: string;
}

function node(script: string, ...args: string[]) {
  const file = fileURLToPath(new URL(`../topology/fixtures/${script}`, import.meta.url));
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
}

/** Starts a process that starts a server and never stops it. */
async function abandon(way: string) {
  const child = node('abandon-server.mjs', way);
  const exit = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, exit, server: JSON.parse(line) as Abandoned };
}

function isGone({ pid, folder }: Abandoned): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return !existsSync(folder);
  }
}

describe.concurrent('nothing is left of a server when its process', () => {
  it.concurrent.each(['exit', 'throw', 'return'])('ends by itself: %s', async (way) => {
    const { exit, server } = await abandon(way);
    await exit;
    await until(() => isGone(server), { what: 'the server to be gone' });
  });

  it.concurrent.each([
    ['wait', 'SIGKILL'],
    ['frozen', 'SIGKILL'],
    ['wait', 'SIGTERM'],
    ['wait', 'SIGINT'],
  ] as const)('is killed: %s, %s', async (way, signal) => {
    const { child, exit, server } = await abandon(way);
    expect(isGone(server)).toBe(false);
    child.kill(signal);
    expect(await exit).toEqual([null, signal]);
    await until(() => isGone(server), { what: 'the server to be gone' });
    await expect(admin(server.port, 'PING')).rejects.toThrow('ECONNREFUSED');
  });
});

it.concurrent('fails the run when something is left all the same, and names it', async () => {
  const child = node('leave-process.mjs');
  const exit = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  const [pid, error] = lines;
  expect(error).toMatch(
    new RegExp(`^The tests left servers behind: folder \\S+/server-\\S+, process ${pid}$`),
  );
  expect(await exit).toEqual([1, null]);
});

describe('shared', () => {
  const TARGETS: Readonly<Record<string, () => Promise<readonly AdminTarget[]>>> = {
    standalone: async () => [await shared('standalone')],
    sentinel: async () => {
      const { sentinels, servers } = await shared('sentinel');
      return [...sentinels, ...servers];
    },
    cluster: async () => (await shared('cluster')).nodes,
    shards: async () => (await shared('shards')).nodes,
    tls: async () => [await shared('tls')],
  };

  it.each([
    ['standalone', 1],
    ['sentinel', 6],
    ['cluster', 6],
    ['shards', 4],
    ['tls', 1],
  ] as const)('%s answers on all its %i ports', async (kind, count) => {
    const targets = (await TARGETS[kind]?.()) ?? [];
    const answers = await Promise.all(targets.map((target) => admin(target, 'PING')));
    expect(answers).toEqual(Array.from({ length: count }, () => 'PONG'));
  });

  it('is one and the same for whoever asks', async () => {
    const [one, two] = await Promise.all([shared('standalone'), shared('standalone')]);
    expect(one).toEqual(two);
  });
});
