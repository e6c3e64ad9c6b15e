/** The built demo as a process, for the browser to look at. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const START_MS = 30_000;

/** @returns {Promise<{ url: string, port: number, stop: () => Promise<number | null> }>} */
export async function startDemo(env = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(?:REDIS_|NODE_ENV$|DEMO_)/u.test(name));
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: REPOSITORY,
    env: { ...Object.fromEntries(own), PORT: '0', DEMO_DATABASE: ':memory:', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const url = await addressOf(child);
  return {
    url,
    port: Number(new URL(url).port),
    stop: async () => {
      const closed = once(child, 'close');
      child.kill('SIGINT');
      const [code] = await closed;
      return code;
    },
  };
}

function addressOf(child) {
  let output = '';
  return new Promise((resolve, reject) => {
    const tooLong = setTimeout(() => reject(new Error(`the demo did not start:\n${output}`)), START_MS);
    const read = (chunk) => {
      output += chunk;
      const found = /Anbar demo: (http:\S+)/u.exec(output);
      if (found === null) return;
      clearTimeout(tooLong);
      resolve(found[1]);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.once('close', () => {
      clearTimeout(tooLong);
      reject(new Error(`the demo ended:\n${output}`));
    });
  });
}
