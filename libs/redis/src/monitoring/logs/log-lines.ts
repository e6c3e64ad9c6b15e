/** Log lines: a sentence for people, and what it says as fields for those who put logs into a table. */

/** Never a key, a value, a user or a password. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

type WriteLine = (line: string, fields?: LogFields) => void;

export interface LineLogger {
  readonly log: WriteLine;
  readonly warn: WriteLine;
  readonly debug: WriteLine;
  readonly verbose: WriteLine;
}

/** As much of Nest's `Logger` as is used here. */
export interface FieldLogger {
  log(line: string | LogFields, ...fields: LogFields[]): void;
  warn(line: string | LogFields, ...fields: LogFields[]): void;
  debug(line: string | LogFields, ...fields: LogFields[]): void;
  verbose(line: string | LogFields, ...fields: LogFields[]): void;
}

/**
 * Where a logger takes them: behind the sentence, or, where it would make a line of its own of whatever follows, in
 * one object with it. One that writes text would print what the sentence says already.
 */
export type FieldsPlace = 'nowhere' | 'behind' | 'within';

export function linesTo(logger: FieldLogger, place: FieldsPlace): LineLogger {
  const say = (line: string, fields?: LogFields): [string | LogFields, ...LogFields[]] => {
    if (fields === undefined || place === 'nowhere') return [line];
    return place === 'behind' ? [line, fields] : [{ message: line, ...fields }];
  };
  return {
    log: (line, fields) => logger.log(...say(line, fields)),
    warn: (line, fields) => logger.warn(...say(line, fields)),
    debug: (line, fields) => logger.debug(...say(line, fields)),
    verbose: (line, fields) => logger.verbose(...say(line, fields)),
  };
}
