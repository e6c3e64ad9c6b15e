/** What is asked of a server before any caller's request goes out: who it is, and what it is able to do. */
import type { Clock } from '../core/index.js';
import type { NodeStatus } from './redis-client.js';
import { ask } from './question.js';
import { replyItems, replyText } from './reply.js';
import type { Wire } from './wire.js';

const LOADING_POLL_MS = 100;

export interface Greeting {
  readonly role: NodeStatus['role'];
  /** It takes `ECHO`, by which the order of its replies can be checked. */
  readonly echoes: boolean;
}

/** Waits for a server that is loading its data, telling each time; `undefined` when the wire ended meanwhile. */
export async function greet(
  wire: Wire,
  clock: Clock,
  onLoading: (reason: string) => void,
): Promise<Greeting | undefined> {
  while (wire.usable) {
    try {
      const role = await askRole(wire);
      return { role, echoes: await takesEcho(wire) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!isBusyForNow(reason)) throw error;
      onLoading(reason);
      await new Promise<void>((resolve) => clock.after(LOADING_POLL_MS, resolve));
    }
  }
  return undefined;
}

async function askRole(wire: Wire): Promise<NodeStatus['role']> {
  try {
    const role = replyText(replyItems(await ask(wire, 'ROLE'))[0]);
    if (role === 'master') return 'primary';
    return role === 'slave' ? 'replica' : 'unknown';
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (isBusyForNow(reason) || reason.startsWith('NOAUTH')) throw error;
    // A restricted user may not ask; that is no reason not to work for it.
    return 'unknown';
  }
}

async function takesEcho(wire: Wire): Promise<boolean> {
  try {
    return (await ask(wire, 'ECHO', ['anbar'])) === 'anbar';
  } catch {
    return false;
  }
}

/** It answers, so it is worth waiting for. */
function isBusyForNow(reason: string): boolean {
  return /^(?:LOADING|MASTERDOWN|BUSY)/u.test(reason);
}
