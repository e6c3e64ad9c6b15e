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

/** As much of Nest's `Logger` as is used here; what follows the message is taken as its fields. */
export interface FieldLogger {
  log(line: string, ...fields: LogFields[]): void;
  warn(line: string, ...fields: LogFields[]): void;
  debug(line: string, ...fields: LogFields[]): void;
  verbose(line: string, ...fields: LogFields[]): void;
}

/** A logger that writes text would print the fields behind the sentence, which says the same. */
export function linesTo(logger: FieldLogger, withFields: boolean): LineLogger {
  const fieldsOf = (fields?: LogFields): LogFields[] => (withFields && fields !== undefined ? [fields] : []);
  return {
    log: (line, fields) => logger.log(line, ...fieldsOf(fields)),
    warn: (line, fields) => logger.warn(line, ...fieldsOf(fields)),
    debug: (line, fields) => logger.debug(line, ...fieldsOf(fields)),
    verbose: (line, fields) => logger.verbose(line, ...fieldsOf(fields)),
  };
}

/** `new ConsoleLogger({ json: true })`. */
export function writesJson(logger: unknown): boolean {
  const options: unknown = Reflect.get(Object(logger), 'options');
  return Reflect.get(Object(options), 'json') === true;
}
