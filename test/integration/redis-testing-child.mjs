/** A test process in which a compile throws, and another one closes with work under way; it must end by itself. */
import { registerTypescript } from '../topology/register-typescript.mjs';

registerTypescript();

const { runChild } = await import('./redis-testing-child.ts');
await runChild();
