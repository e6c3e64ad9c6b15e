/**
 * `node examples/before.mjs migrate-throttler bench`: runs the application as it was written for the old package, with
 * the packages of that folder, and asks it what its successor is asked in the tests. Both have to answer alike.
 */
import { deepEqual } from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

const [name = '', folder = 'bench'] = process.argv.slice(2);
const home = new URL(`./${name}/`, import.meta.url);
const { outputText } = ts.transpileModule(readFileSync(new URL('before.txt', home), 'utf8'), {
  compilerOptions: {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    experimentalDecorators: true,
    useDefineForClassFields: false,
  },
});
const file = join(resolve(folder), `.${name}.mjs`);
// CommonJS packages name their exports in ways that an import statement does not always see.
let count = 0;
const code = outputText.replaceAll(/^import \{([^}]*)\} from (['"].+['"]);/gmu, (_, names, from) => {
  count += 1;
  const wanted = names.replaceAll(/\bas\b/gu, ':');
  return `import * as its${count} from ${from};\nconst {${wanted}} = { ...its${count}.default, ...its${count} };`;
});
writeFileSync(file, code);
process.env.PORT = '0';
let cookie;
try {
  const { app } = await import(pathToFileURL(file).href);
  const base = (await app.getUrl()).replace('[::1]', 'localhost');
  const requests = JSON.parse(readFileSync(new URL('requests.json', home), 'utf8'));
  for (const [i, { ask, with: sent = {}, status, body, headers = {} }] of requests.entries()) {
    const [method, path] = ask.split(' ');
    const answer = await fetch(base + path, { method, headers: { ...sent, ...(cookie && { cookie }) } });
    cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? cookie;
    const seen = { status: answer.status, body: parsed(await answer.text()), headers: {} };
    for (const header of Object.keys(headers)) seen.headers[header] = answer.headers.get(header);
    deepEqual(seen, { status, body, headers }, `${i + 1}. ${ask}: ${JSON.stringify(seen)}`);
  }
  console.log(`${name}: ${requests.length} answers of the old package as those of the new one`);
} finally {
  rmSync(file, { force: true });
}
process.exit();

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
