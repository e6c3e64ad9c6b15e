/** The error replies of Redis 7, by their exact texts. The engine turns them into `RedisReplyError`. */

export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/** `'ERR'` is put in front unless the text starts with a word of its own, as Redis does. */
export function failure(text: string, kind = 'ERR'): CommandFailure {
  return new CommandFailure(`${kind} ${text}`);
}

export function wrongType(): CommandFailure {
  return failure('Operation against a key holding the wrong kind of value', 'WRONGTYPE');
}

export function syntaxError(): CommandFailure {
  return failure('syntax error');
}

export function notAnInteger(): CommandFailure {
  return failure('value is not an integer or out of range');
}

export function notAFloat(): CommandFailure {
  return failure('value is not a valid float');
}

export function noSuchKey(): CommandFailure {
  return failure('no such key');
}

export function wrongArity(command: string): CommandFailure {
  return failure(`wrong number of arguments for '${command}' command`);
}

export function invalidExpireTime(command: string): CommandFailure {
  return failure(`invalid expire time in '${command}' command`);
}

export function outOfMemory(): CommandFailure {
  return failure("command not allowed when used memory > 'maxmemory'.", 'OOM');
}
