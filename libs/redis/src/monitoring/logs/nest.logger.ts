/** The logger that the application has given to Nest: what it writes, and how it takes fields. */
import { ConsoleLogger, Logger, type LogLevel } from '@nestjs/common';
import { linesTo, type LineLogger } from './log-lines.js';

/** `withFields`: see the option `logFields`. */
export function openLines(context: string, withFields: boolean | undefined): LineLogger {
  const logger = current();
  if (!(withFields ?? writesJson(logger))) return linesTo(new Logger(context), 'nowhere');
  const apart = logger instanceof ConsoleLogger && new Probe().printsApart();
  return linesTo(new Logger(context), apart ? 'within' : 'behind');
}

/** A logger that is no `ConsoleLogger` may not be able to say; then it gets everything. */
export function isLevelLogged(level: LogLevel): boolean {
  const logger = current();
  // Nest 11 asks the levels of the class alone, whatever those of the logger are.
  if (logger instanceof ConsoleLogger) return logger.isLevelEnabled(level);
  return (
    logger !== undefined && (Reflect.get(Logger, 'logLevels') === undefined || Logger.isLevelEnabled(level))
  );
}

/** `new ConsoleLogger({ json: true })`. */
export function writesJson(logger: unknown): boolean {
  const options: unknown = Reflect.get(Object(logger), 'options');
  return Reflect.get(Object(options), 'json') === true;
}

function current(): unknown {
  return Reflect.get(Logger, 'staticInstanceRef');
}

/** Nest 11 prints each argument as a line of its own; Nest 12 takes what follows the first as its fields. */
class Probe extends ConsoleLogger {
  #printed = 0;

  printsApart(): boolean {
    this.setLogLevels(['log']);
    this.log('a sentence', { field: true });
    return this.#printed > 1;
  }

  protected override printMessages(messages: unknown[]): void {
    this.#printed = messages.length;
  }
}
