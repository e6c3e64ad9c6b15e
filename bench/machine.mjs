/** What a figure was measured on; without it a figure means nothing. */
import { cpus, loadavg, totalmem } from 'node:os';

export function machine() {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${model}, ${memory} GiB, Node ${process.versions.node}, ${process.platform}`;
}

export function today() {
  return new Date().toISOString().slice(0, 10);
}

/** Processes that wanted a processor, on average over the last minute. */
export function load() {
  return loadavg()[0] ?? 0;
}

/** A sentence about how much others were in the way; on a busy machine rates say little. */
export function disturbance(before, after) {
  const processors = cpus().length;
  const busy = Math.max(before, after) > processors;
  const figures = `Load of the machine: ${before.toFixed(1)} at the beginning, ${after.toFixed(1)} at the end, on ${processors} processors.`;
  if (!busy) return figures;
  return `${figures}\nOthers were at work: whoever waits for a server waits for its turn, too. CPU time says more than rates here;\nrun it again on an idle machine.`;
}
