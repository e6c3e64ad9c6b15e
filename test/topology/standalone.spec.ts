import { connect } from 'node:tls';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { admin } from './admin.js';
import { startShards } from './shards.js';
import { startStandalone, type Standalone, type StandaloneOptions } from './standalone.js';

async function start(options?: StandaloneOptions): Promise<Standalone> {
  const server = await startStandalone(options);
  onTestFinished(() => server.stop());
  return server;
}

/** What a strict TLS client makes of the server: its own protocol version, or the reason to refuse. */
async function handshake({ host, port, tls }: Standalone, name?: string): Promise<string | null> {
  const socket = connect({ host, port, ca: tls?.ca, ...(name === undefined ? {} : { servername: name }) });
  onTestFinished(() => void socket.destroy());
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol();
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

describe('startStandalone', () => {
  it('is open and empty by default', async () => {
    const server = await start();
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`);
    expect(await admin(server.port, 'DBSIZE')).toBe(0);
  });

  it('asks for its password, and still obeys the test when it is changed', async () => {
    const server = await start({ password: 'p@ss/word' });
    const { port, password, url } = server;
    expect(url).toBe(`redis://:p%40ss%2Fword@127.0.0.1:${port}`);
    await expect(admin(port, 'PING')).rejects.toThrow('NOAUTH');
    await expect(admin({ port, password: 'wrong' }, 'PING')).rejects.toThrow('WRONGPASS');
    expect(await admin({ port, password: password ?? '' }, 'PING')).toBe('PONG');
    await server.process.admin('CONFIG', 'SET', 'requirepass', 'rotated');
    await expect(admin({ port, password: password ?? '' }, 'PING')).rejects.toThrow('WRONGPASS');
    expect(await server.process.admin('PING')).toBe('PONG');
  });

  it('knows an ACL user with exactly its rules', async () => {
    const { port, url } = await start({
      acl: { user: 'app', password: 'secret', rules: '~app:* +get +set' },
    });
    const as = { port, username: 'app', password: 'secret' };
    expect(url).toBe(`redis://app:secret@127.0.0.1:${port}`);
    expect(await admin(as, 'SET', 'app:k', 'v')).toBe('OK');
    await expect(admin(as, 'SET', 'other', 'v')).rejects.toThrow('NOPERM');
    await expect(admin(as, 'FLUSHALL')).rejects.toThrow('NOPERM');
    await expect(admin(port, 'PING')).rejects.toThrow('NOAUTH');
  });

  it('refuses writes beyond maxmemory, or evicts', async () => {
    const fill = async (server: Standalone) => {
      for (let index = 0; index < 40; index += 1) await admin(server.port, 'SET', index, 'x'.repeat(100_000));
    };
    await expect(fill(await start({ maxmemory: '3mb' }))).rejects.toThrow('OOM');
    const evicting = await start({ maxmemory: '3mb', policy: 'allkeys-lru' });
    await fill(evicting);
    expect(Number((await evicting.process.info('stats'))['evicted_keys'])).toBeGreaterThan(0);
  });

  it('takes further settings', async () => {
    const server = await start({ config: { maxclients: '77' } });
    expect(await admin(server.port, 'CONFIG', 'GET', 'maxclients')).toEqual(['maxclients', '77']);
  });
});

describe('TLS', () => {
  it('is trusted by a strict client, and speaks TLS only', async () => {
    const server = await start({ tls: true, password: 'secret' });
    expect(server.url).toBe(`rediss://:secret@127.0.0.1:${server.port}`);
    expect(await handshake(server)).toBe('TLSv1.3');
    expect(await handshake(server, 'localhost')).toBe('TLSv1.3');
    expect(await server.process.admin('PING')).toBe('PONG');
    await expect(admin(server.port, 'PING')).rejects.toThrow(/closed|ECONNRESET/);
  });

  it('knows client certificates', async () => {
    const { port, tls } = await start({ tls: true, config: { 'tls-auth-clients': 'yes' } });
    if (tls === undefined) throw new Error('no TLS material');
    expect(await admin({ port, tls }, 'PING')).toBe('PONG');
    await expect(admin({ port, tls: { ca: tls.ca } }, 'PING')).rejects.toThrow(
      /certificate required|ECONNRESET/i,
    );
  });

  it.each([
    ['expired', 'CERT_HAS_EXPIRED'],
    ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['wrong-name', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['wrong-ca', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ] as const)('%s is refused with %s', async (tls, code) => {
    const server = await start({ tls });
    expect(await handshake(server)).toBe(code);
    expect(await server.process.admin('PING')).toBe('PONG');
  });
});

describe('startShards', () => {
  it('starts servers that share nothing', async () => {
    const started = await startShards(3);
    onTestFinished(() => started.stop());
    const { shards, urls } = started;
    await admin(shards[0]?.port ?? 0, 'SET', 'k', 'v');
    const values = await Promise.all(shards.map(({ port }) => admin(port, 'GET', 'k')));
    expect(values).toEqual(['v', null, null]);
    expect(new Set(urls).size).toBe(3);
  });

  it('stops the others when one does not start', async () => {
    await expect(startShards(3, { config: { 'no-such-setting': '1' } })).rejects.toThrow('no-such-setting');
  });
});
