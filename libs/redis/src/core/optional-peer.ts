/** Packages that are loaded only where they are used, so that nobody installs what they do not need. */
import { RedisModuleError, safeMessage } from './error.js';

/** A package that only this feature needs is not installed. */
export class MissingPeerError extends RedisModuleError {
  readonly code = 'MISSING_PEER';
}

export async function optionalPeer<Peer>(
  name: string,
  wantedBy: string,
  load: () => Promise<Peer>,
): Promise<Peer> {
  try {
    return await load();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw new MissingPeerError(`${wantedBy} needs the package ${name}, which is not installed`, {
      hint: `npm install ${name}`,
      details: { package: name, reason: safeMessage(error.message) },
    });
  }
}

function isAbsent(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code: unknown = Reflect.get(error, 'code');
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
