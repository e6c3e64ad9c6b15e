/** From the text of a variable to a value. Each reader knows its type's name, for the table in the docs. */
import { readFileSync } from 'node:fs';
import type { Address } from '../connection/index.js';
import { isDuration, type Duration } from '../core/index.js';
import { readAddress, readWhole } from './address.js';
import { show } from './masking.js';
import type { Outcome } from './outcome.js';
import { readRedisUrl } from './redis-url.js';
import * as rule from './rule.js';

export interface TextReader<T> {
  readonly type: string;
  readonly read: (text: string) => Outcome<T>;
}

const PEM_HINT = "give the text from '-----BEGIN …' to '-----END …', or the path of a file with it";

/** Spaces at the ends are never meant, except in a password. */
export function one(type: string, wanted: rule.Rule): TextReader<string> {
  return { type, read: (text) => obey(wanted, text.trim(), text) };
}

export const secret: TextReader<string> = {
  type: 'text',
  read: (text) => ({ ok: true, value: text }),
};

export function whole(type: string, wanted: rule.Rule): TextReader<number> {
  return { type, read: (text) => obey(wanted, readWhole(text.trim()), text) };
}

export function choice<T extends string>(...values: readonly T[]): TextReader<T> {
  return {
    type: values.map((value) => `\`${value}\``).join(', '),
    read(text) {
      const value = values.find((each) => each === text.trim());
      return value === undefined ? refused(rule.oneOf(...values), text) : { ok: true, value };
    },
  };
}

export const flag: TextReader<boolean> = {
  type: '`true`, `false`',
  read(text) {
    const value = new Map([
      ['true', true],
      ['1', true],
      ['false', false],
      ['0', false],
    ]).get(text.trim().toLowerCase());
    return value === undefined ? refused(rule.boolean, text) : { ok: true, value };
  },
};

export const duration: TextReader<Duration> = {
  type: 'duration',
  read(text) {
    const trimmed = text.trim();
    const value = /^\d+(?:\.\d+)?$/u.test(trimmed) ? Number(trimmed) : trimmed;
    return isDuration(value) && rule.positiveDuration.holds(value)
      ? { ok: true, value }
      : refused(rule.positiveDuration, text);
  },
};

export const url = { type: 'URL', read: readRedisUrl };

export function nodes(defaultPort: number): TextReader<readonly Address[]> {
  return {
    type: 'list of host:port',
    read(text) {
      const found = text.split(',').map((each) => readAddress(each, defaultPort));
      const wrong = found.find((each) => !each.ok);
      if (wrong !== undefined) return wrong;
      return { ok: true, value: found.flatMap((each) => (each.ok ? [each.value] : [])) };
    },
  };
}

export const pem: TextReader<string> = {
  type: 'PEM text or file',
  read: (text) => readPem(text, show(text.trim())),
};

/** What is taken for a path may be a key without its first line: so not even the path is shown. */
export const secretPem: TextReader<string> = {
  type: 'PEM text or file',
  read: (text) => readPem(text, 'its value'),
};

function readPem(text: string, shown: string): Outcome<string> {
  // Where a variable cannot hold a line break, people write \n.
  if (text.includes('-----BEGIN ')) return { ok: true, value: text.replaceAll(String.raw`\n`, '\n') };
  try {
    const content = readFileSync(text.trim(), 'utf8');
    if (content.includes('-----BEGIN ')) return { ok: true, value: content };
    return { ok: false, problem: `${shown} names a file that holds no PEM text`, hint: PEM_HINT };
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be read';
    return {
      ok: false,
      problem: `${shown} is no PEM text and no file that can be read (${reason})`,
      hint: PEM_HINT,
    };
  }
}

function obey<T>(wanted: rule.Rule, value: T, text: string): Outcome<T> {
  return wanted.holds(value) ? { ok: true, value } : refused(wanted, text);
}

function refused(wanted: rule.Rule, text: string): Outcome<never> {
  return { ok: false, problem: rule.problemWith(wanted, text), hint: wanted.hint };
}
