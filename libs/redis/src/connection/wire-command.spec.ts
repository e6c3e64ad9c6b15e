/** What goes over the wire is what the driver itself would write. */
import { Command } from 'ioredis';
import { describe, expect, it } from 'vitest';
import type { Arg } from './reply.js';
import { WireCommand, type Answerer } from './wire-command.js';

const nobody: Answerer = {
  answered: () => undefined,
  refused: () => undefined,
  unwritten: () => undefined,
};

function written(name: string, args: readonly Arg[]): Buffer {
  const parts: (string | Buffer)[] = [];
  const sink = { write: (part: string | Buffer) => parts.push(part) > 0 };
  parts.push(new WireCommand(nobody, 0, name, args).toWritable(sink));
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

describe('WireCommand', () => {
  it.each<[string, readonly Arg[]]>([
    ['PING', []],
    ['GET', ['key']],
    ['GET', ['']],
    ['SET', ['schlüssel', '値🙂', 'PX', 1_000]],
    ['SET', ['key', Buffer.from([0, 1, 255, 13, 10]), 'PX', 1_000]],
    ['SET', ['key', Buffer.alloc(0)]],
    ['EVALSHA', ['sha', 2, 'a', 'b', Buffer.from('x'), Buffer.from('y'), -1.5, '']],
  ])('writes %s %j as the driver does', (name, args) => {
    const theirs: unknown = new Command(name, [...args]).toWritable({});
    expect(written(name, args)).toEqual(Buffer.from(theirs as string));
  });
});
