/**
 * An AbortSignal that looks at the clock whenever it is asked. A process that was stopped wakes up in the midst
 * of its work, before any timer has fired: whoever asks the signal then is told the truth all the same.
 */
export interface WatchedSignal {
  readonly signal: AbortSignal;
  abort(reason: Error): void;
}

/** `overdue` answers with the reason to abort, once there is one. */
export function watchedSignal(overdue: () => Error | undefined): WatchedSignal {
  const controller = new AbortController();
  const { signal } = controller;
  let aborted = false;
  const abort = (reason: Error): void => {
    if (aborted) return;
    aborted = true;
    controller.abort(reason);
  };
  const look = (): boolean => {
    if (!aborted) {
      const reason = overdue();
      if (reason !== undefined) abort(reason);
    }
    return aborted;
  };
  // On this one signal and not in a subclass: Node does not let anybody construct one.
  Object.defineProperty(signal, 'aborted', { get: look });
  Object.defineProperty(signal, 'throwIfAborted', {
    value: () => {
      if (look()) throw signal.reason;
    },
  });
  return { signal, abort };
}
