/**
 * `node test/browser/console.mjs [--shots folder] [--minutes 3] [--keep]`: the console in a real browser. See
 * console-cli.ts. It needs Chromium; CHROMIUM names it, or it is looked for where Linux keeps it.
 */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();
const { runConsoleBrowser } = await import('./console-cli.ts');
process.exitCode = await runConsoleBrowser(process.argv.slice(2));
process.exit();
