/** What a figure was measured on; without it a figure means nothing. */
import { cpus, totalmem } from 'node:os';

export function machine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${model}, ${memory} GiB, Node ${process.versions.node}, ${process.platform}`;
}

export function today() {
  return new Date().toISOString().slice(0, 10);
}
