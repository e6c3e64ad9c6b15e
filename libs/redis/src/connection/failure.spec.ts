import { describe, expect, it } from 'vitest';
import {
  connectionClosed,
  failureOfReply,
  notConnected,
  redirectTarget,
  replyMismatch,
  type FailureKind,
} from './failure.js';

/** Reply, what it is, whether it is worth another try, whether it counts against the node. */
type Row = readonly [string, FailureKind, retryable: boolean, counts: boolean];

describe('failureOfReply', () => {
  it.each<Row>([
    ['MOVED 3999 127.0.0.1:6381', 'moved', true, false],
    ['ASK 3999 127.0.0.1:6381', 'ask', true, false],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'not-now', true, false],
    ['NOSCRIPT No matching script.', 'noscript', false, false],
    ['LOADING Redis is loading the dataset in memory', 'not-now', true, true],
    ['BUSY Redis is busy running a script.', 'not-now', true, true],
    ['CLUSTERDOWN The cluster is down', 'not-now', true, false],
    ['MASTERDOWN Link with MASTER is down', 'not-now', true, false],
    ['MISCONF Errors writing to the AOF file', 'not-now', true, false],
    ['ERR max number of clients reached', 'not-now', true, true],
    ["READONLY You can't write against a read only replica.", 'readonly', true, false],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'oom', false, false],
    ['NOAUTH Authentication required.', 'auth', false, false],
    ['WRONGPASS invalid username-password pair', 'auth', false, false],
    ['NOPERM this user has no permissions', 'reply', false, false],
    ['WRONGTYPE Operation against a key', 'reply', false, false],
    ['ERR syntax error', 'reply', false, false],
    ['CROSSSLOT Keys in request', 'reply', false, false],
    ['', 'reply', false, false],
    ['lower case says nothing', 'reply', false, false],
    ['LOADINGX is another word', 'reply', false, false],
  ])('%s', (message, kind, retryable, counts) => {
    expect(failureOfReply(message)).toEqual({ kind, retryable, counts, executed: 'no', message });
  });

  it('leaves out the arguments the server quotes', () => {
    const { message } = failureOfReply("ERR unknown command 'X', with args beginning with: 'secret' ");
    expect(message).toBe("ERR unknown command 'X'");
  });
});

it('says whether a command may have been executed', () => {
  expect(notConnected('x')).toMatchObject({ executed: 'no', retryable: true, counts: false });
  expect(connectionClosed('x')).toMatchObject({ executed: 'unknown', retryable: true, counts: true });
  expect(replyMismatch('x')).toMatchObject({ executed: 'unknown', retryable: true, counts: true });
});

describe('redirectTarget', () => {
  it.each([
    ['MOVED 3999 127.0.0.1:6381', { slot: 3999, address: '127.0.0.1:6381' }],
    ['ASK 0 [::1]:6381', { slot: 0, address: '[::1]:6381' }],
    ['ASK 0 ::1:6381', { slot: 0, address: '::1:6381' }],
    ['MOVED 3999 :6381', { slot: 3999, address: ':6381' }],
    ['MOVED 3999 redis-1.example:6381', { slot: 3999, address: 'redis-1.example:6381' }],
    ['MOVED', undefined],
    ['ERR MOVED 1 a:1', undefined],
  ])('%s', (message, target) => {
    expect(redirectTarget(failureOfReply(message))).toEqual(target);
  });
});
