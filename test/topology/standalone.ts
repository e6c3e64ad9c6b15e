/** One server on its own: plain or TLS, open or with a password or an ACL user, with any memory limit. */
import { RedisProcess } from './redis-process.js';
import { makeCertificates, type CertificateFault } from './certificates.js';

export interface StandaloneOptions {
  /** Password of the default user (`requirepass`). */
  readonly password?: string;
  /** A further user; the default user is then off unless `password` is set. Rules such as `~app:* +@all -@admin`. */
  readonly acl?: { readonly user: string; readonly password: string; readonly rules: string };
  /** Serve TLS only, with a certificate that is right or wrong in one way. @default false */
  readonly tls?: boolean | CertificateFault;
  /** Such as `2mb`. @default no limit */
  readonly maxmemory?: string;
  /** `maxmemory-policy`, such as `allkeys-lru`. @default 'noeviction' */
  readonly policy?: string;
  /** Survive `process.restart('keepData')`. @default false */
  readonly keepData?: boolean;
  /** Further settings, written to the configuration file as they are. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface TlsMaterial {
  /** PEM of the authority a client should trust. */
  readonly ca: string;
  /** PEM of a client certificate by the same authority, for `tls-auth-clients yes`. */
  readonly cert: string;
  readonly key: string;
}

export interface Standalone {
  readonly host: string;
  readonly port: number;
  /** `redis://` or `rediss://` with the user and password a client needs. */
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: TlsMaterial | undefined;
  readonly process: RedisProcess;
  stop(): Promise<void>;
}

function accessDirectives({ password, acl }: StandaloneOptions): string[] {
  const lines: string[] = [];
  if (password !== undefined) lines.push(`requirepass "${password}"`);
  if (acl !== undefined) lines.push(`user ${acl.user} on >${acl.password} ${acl.rules}`);
  if (acl !== undefined && password === undefined) lines.push('user default off');
  return lines;
}

function memoryDirectives({ maxmemory, policy }: StandaloneOptions): string[] {
  const limit = maxmemory === undefined ? [] : [`maxmemory ${maxmemory}`];
  return policy === undefined ? limit : [...limit, `maxmemory-policy ${policy}`];
}

function tlsOptions(tls: boolean | CertificateFault) {
  if (tls === false) return undefined;
  const { ca, server, client } = makeCertificates(tls === true ? undefined : tls);
  return {
    material: { ca, cert: client.cert, key: client.key },
    files: { 'ca.crt': ca, 'server.crt': server.cert, 'server.key': server.key },
    directives: [
      'tls-cert-file server.crt',
      'tls-key-file server.key',
      'tls-ca-cert-file ca.crt',
      'tls-auth-clients no',
    ],
  };
}

/** Starts one server. Without options: no password, no persistence, no memory limit. */
export async function startStandalone(options: StandaloneOptions = {}): Promise<Standalone> {
  const tls = tlsOptions(options.tls ?? false);
  const own = Object.entries(options.config ?? {}).map(([name, value]) => `${name} ${value}`);
  const server = await RedisProcess.start({
    directives: [
      ...accessDirectives(options),
      ...memoryDirectives(options),
      ...(tls?.directives ?? []),
      ...own,
    ],
    keepData: options.keepData ?? false,
    ...(tls ? { files: tls.files, tls: tls.material } : {}),
  });
  const { host, port } = server;
  const username = options.acl?.user;
  const password = options.acl?.password ?? options.password;
  const login = password === undefined ? '' : `${username ?? ''}:${encodeURIComponent(password)}@`;
  return {
    host,
    port,
    url: `${tls ? 'rediss' : 'redis'}://${login}${host}:${port}`,
    username,
    password,
    tls: tls?.material,
    process: server,
    stop: () => server.stop(),
  };
}
