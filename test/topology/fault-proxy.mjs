/** `node test/topology/fault-proxy.mjs <port> [<listen port>]`: see fault-proxy-cli.ts. */
import { loadTypescript } from './load-typescript.mjs';

const { runFaultProxy } = await loadTypescript('./fault-proxy-cli.ts');
await runFaultProxy(process.argv.slice(2), process.stdin);
