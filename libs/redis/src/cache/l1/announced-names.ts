/** UTF-8 turns each of these into the same three bytes, so what Redis announces is not the name it is held by. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether a change of that key is told under the name that it is held by here. */
export function isAnnouncedByName(key: string): boolean {
  return !LONE_SURROGATE.test(key);
}
