import { describe, expect, it } from 'vitest';
import { encodeCommand } from './admin.js';
import { RespFrames } from './resp-frames.js';

const REPLIES = [
  '+OK\r\n',
  '-ERR no\r\n',
  ':42\r\n',
  '$-1\r\n',
  '$0\r\n\r\n',
  '$12\r\nline\r\n$3\r\nx!\r\n',
  '*0\r\n',
  '*-1\r\n',
  '*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n',
  '%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n',
  '~2\r\n:1\r\n:2\r\n',
  '>3\r\n+message\r\n+c\r\n+m\r\n',
  '|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n',
  ',3.14\r\n',
  '#t\r\n',
  '_\r\n',
  '=8\r\ntxt:body\r\n',
];

function framesOf(stream: Buffer, chunkSize: number) {
  const frames = new RespFrames();
  const found: { text: string; name: string }[] = [];
  let text = '';
  for (let from = 0; from < stream.length; from += chunkSize) {
    for (const piece of frames.cut(stream.subarray(from, from + chunkSize))) {
      text = piece.starts ? piece.bytes.toString('latin1') : text + piece.bytes.toString('latin1');
      if (piece.ends) found.push({ text, name: piece.name });
    }
  }
  return found;
}

describe('RespFrames', () => {
  it('finds the same replies however the stream is cut', () => {
    const stream = Buffer.from(REPLIES.join(''));
    for (let size = 1; size <= stream.length; size += 1) {
      expect(framesOf(stream, size).map(({ text }) => text)).toEqual(REPLIES);
    }
  });

  it('names commands, inline ones too, whatever their arguments hold', () => {
    const commands = [
      encodeCommand(['get', 'k']),
      encodeCommand(['SET', 'k', '*1\r\n$4\r\nPING\r\n']),
      Buffer.from('ping\r\n'),
      encodeCommand(['EVALSHA', 'x'.repeat(500), 0]),
    ];
    for (const size of [1, 7, 10_000]) {
      const names = framesOf(Buffer.concat(commands), size).map(({ name }) => name);
      expect(names).toEqual(['GET', 'SET', 'PING', 'EVALSHA']);
    }
  });
});
