/** The keys of the clean-up itself: its lock, and the mark of the last run. */
import { escapeSegment } from '../connection/index.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

/** No application would call a lock of its own that by chance. */
export const CLEANUP_LOCK = ['anbar', 'cleanup'] as const;

export class CleanupKeys {
  /** Is there while a run was done so lately that none is due. */
  readonly done: string;

  constructor(namespace: string) {
    this.done = `${namespace.split(':').map(escapeSegment).join(':')}:${WIRE_VERSION}:cleanup`;
  }
}
