/** docker-compose.yml: valid in each profile, nothing exposed, nothing lost, and what docs/docker.md says of it works. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { createRedis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { admin, serverBinary, shared, until } from '../topology/index.js';
import { reservePort, type PortReservation } from '../topology/free-port.js';
import { parseYaml, type Yaml } from './plain-yaml.js';
import { REPOSITORY } from './planted-tree.js';

const run = promisify(execFile);
const PROFILES = ['none', 'shards', 'cluster', 'sentinel', 'obs'];

const file = readFileSync(join(REPOSITORY, 'docker-compose.yml'), 'utf8');
const page = readFileSync(join(REPOSITORY, 'docs/docker.md'), 'utf8');
const compose = parseYaml(file);
const services = Object.entries(mapOf(at(compose, 'services')));

function mapOf(value: Yaml | undefined): { readonly [key: string]: Yaml } {
  return typeof value === 'object' && !Array.isArray(value) ? value : {};
}

function at(value: Yaml | undefined, ...path: readonly string[]): Yaml | undefined {
  return path.reduce<Yaml | undefined>((inner, key) => mapOf(inner)[key], value);
}

function listOf(value: Yaml | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function profileOf(service: Yaml): string {
  return listOf(at(service, 'profiles'))[0] ?? 'none';
}

/** `'127.0.0.1:7001-7006:7001-7006'` → host and ports of the host. */
function published(service: Yaml): readonly { host: string; ports: readonly number[] }[] {
  return listOf(at(service, 'ports')).map((mapping) => {
    const plain = mapping.replaceAll(/\$\{\w+:-(\w+)\}/gu, '$1');
    const [, host = '', from = '', to = from] = /^(.*):(\d+)(?:-(\d+))?:\d+(?:-\d+)?$/u.exec(plain) ?? [];
    const count = Number(to) - Number(from) + 1;
    return { host, ports: Array.from({ length: count }, (_, i) => Number(from) + i) };
  });
}

describe('the file', () => {
  it('has the profiles, and each of them its servers', () => {
    const counts = new Map<string, number>();
    for (const [, service] of services) {
      const profile = profileOf(service);
      counts.set(profile, (counts.get(profile) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({
      none: 1,
      shards: 3,
      cluster: 8,
      sentinel: 6,
      obs: 3,
    });
  });

  it('publishes every port once, to this machine only', () => {
    const all = services.flatMap(([, service]) => published(service));
    expect(new Set(all.map(({ host }) => host))).toEqual(new Set(['127.0.0.1']));
    const ports = all.flatMap((each) => each.ports);
    expect(ports.length).toBeGreaterThan(15);
    expect(new Set(ports).size).toBe(ports.length);
    // The demo's.
    expect(ports).not.toContain(3000);
  });

  it.each(services)('%s is pinned, healthy by a check, and comes back', (name, service) => {
    expect(at(service, 'image')).toMatch(/^[\w./-]+:v?\d+\.\d+(?:\.\d+)?(?:-\w+)?$/u);
    if (name === 'cluster-init') {
      expect(at(service, 'restart')).toBe('no');
      return;
    }
    expect(at(service, 'restart')).toBe('unless-stopped');
    expect(listOf(at(service, 'healthcheck', 'test')).length).toBeGreaterThan(1);
  });

  it.each(services.filter(([name]) => !/(?:network|init|exporter)$/u.test(name)))(
    '%s keeps its data in a volume of its own',
    (_, service) => {
      const volumes = mapOf(at(compose, 'volumes'));
      const own = listOf(at(service, 'volumes')).filter((volume) => !volume.startsWith('.'));
      expect(own).toHaveLength(1);
      const [volume] = (own[0] ?? '').split(':');
      expect(Object.keys(volumes)).toContain(volume);
      const users = services.filter(([, other]) =>
        listOf(at(other, 'volumes')).some((each) => each.startsWith(`${volume ?? ''}:`)),
      );
      expect(users).toHaveLength(1);
    },
  );

  it('mounts only what is there, and never to be written', () => {
    const mounts = services.flatMap(([, service]) =>
      listOf(at(service, 'volumes')).filter((volume) => volume.startsWith('.')),
    );
    const faults = mounts.filter((mount) => {
      const [path = '', , mode] = mount.split(':');
      return mode !== 'ro' || !existsSync(join(REPOSITORY, path));
    });
    expect(mounts.length).toBeGreaterThan(10);
    expect(faults).toEqual([]);
  });

  it('every script is mounted where it is called, and every service that is waited for can be', () => {
    for (const [name, service] of services) {
      const [, script = ''] = listOf(at(service, 'command'));
      if (script.startsWith('/anbar/')) {
        expect(listOf(at(service, 'volumes')), name).toContain(
          `./docker/redis${script.slice('/anbar'.length)}:${script}:ro`,
        );
      }
      for (const [other, wait] of Object.entries(mapOf(at(service, 'depends_on')))) {
        const found = services.find(([each]) => each === other);
        expect([profileOf(service), 'none'], `${name} → ${other}`).toContain(profileOf(found?.[1] ?? ''));
        expect(at(wait, 'condition')).toBe('service_healthy');
      }
    }
  });

  it('keeps the append-only file in every server', () => {
    expect(file).toContain('--appendonly yes');
    expect(readFileSync(join(REPOSITORY, 'docker/redis/start-server.sh'), 'utf8')).toContain(
      "'appendonly yes'",
    );
  });

  it('what Prometheus asks, and where Grafana looks, are its services', () => {
    const texts = ['prometheus/prometheus.yml', 'grafana/provisioning/datasources/prometheus.yml'].map(
      (path) => readFileSync(join(REPOSITORY, 'docker', path), 'utf8'),
    );
    const named = texts.flatMap((text) =>
      [...text.matchAll(/(?:'|http:\/\/)([a-z][\w.-]*):(\d+)/gu)].map(
        ([, host = '', port]) => `${host}:${port}`,
      ),
    );
    const known = services.flatMap(([name, service]) =>
      listOf(at(service, 'ports')).map((mapping) => `${name}:${mapping.split(':').at(-1) ?? ''}`),
    );
    expect(named).toContain('redis-exporter:9121');
    expect(named).toContain('prometheus:9090');
    const others = named.filter((each) => !known.includes(each));
    expect(new Set(others)).toEqual(new Set(['host.docker.internal:3000', 'localhost:9090']));
  });

  it('is accepted by compose, where there is one', { timeout: 60_000 }, async () => {
    const command = await composeCommand();
    const every = PROFILES.flatMap((profile) => (profile === 'none' ? [] : ['--profile', profile]));
    for (const chosen of command === undefined ? [] : [[], every]) {
      const [program = '', ...args] = command ?? [];
      const { stdout } = await run(program, [...args, ...chosen, 'config', '--quiet'], { cwd: REPOSITORY });
      expect(stdout).toBe('');
    }
    expect([undefined, 'docker', 'docker-compose']).toContain(command?.[0]);
  });

  it.each([
    ['a: 1\na: 2', /second time/u],
    ['a:\n\t- b', /tab/u],
    ['a: &anchor 1', /not read here/u],
    ["a: ['b', c]", /single quotes/u],
    ['a:\n  b: 1\n c: 2', /indented/u],
  ])('(the reader refuses %j)', (text, why) => {
    expect(() => parseYaml(text)).toThrow(why);
  });
});

async function composeCommand(): Promise<readonly string[] | undefined> {
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...args] = command;
    const works = await run(program, [...args, 'version'], { timeout: 20_000 }).then(
      () => true,
      () => false,
    );
    if (works) return command;
  }
  return undefined;
}

/** The lines of docs/docker.md for a profile, as they stand there. */
function documented(profile: string): Readonly<Record<string, string>> {
  const [, block = ''] = /```sh\n([\s\S]*?)```/u.exec(page) ?? [];
  const section = block.split(/^# /mu).find((part) => part.startsWith(`${profile}\n`)) ?? '';
  return Object.fromEntries(
    section
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** What the page has the application do with variables of its own. */
function shardsOf(env: Readonly<Record<string, string>>): RedisModuleOptions {
  const named = Object.entries(env).filter(([name]) => name.startsWith('SHARD_'));
  if (named.length === 0) return {};
  const shards = named.map(([name, url]) => [name.slice('SHARD_'.length).toLowerCase(), { url }] as const);
  return { shards: Object.fromEntries(shards) };
}

function portsIn(env: Readonly<Record<string, string>>): readonly number[] {
  return Object.values(env).flatMap((value) =>
    [...value.matchAll(/:(\d+)/gu)].map(([, port]) => Number(port)),
  );
}

/** The same lines, with other ports. */
function moved(
  env: Readonly<Record<string, string>>,
  to: ReadonlyMap<number, number>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      value.replaceAll(/:(\d+)/gu, (_, port: string) => `:${to.get(Number(port)) ?? port}`),
    ]),
  );
}

/** As an application boots with this environment and nothing else. */
async function worksWith(
  env: Readonly<Record<string, string>>,
  topology: string,
  { onTestFinished }: TestContext,
): Promise<void> {
  const redis = createRedis(
    {
      namespace: `compose-${process.pid}-${topology}`,
      timeout: '5s',
      connectTimeout: '10s',
      ...shardsOf(env),
    },
    env,
  );
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  expect(redis.adapter.port.topology).toBe(topology);
  await redis.cache.set('key', { works: true });
  expect(await redis.cache.get('key')).toEqual({ works: true });
  const named = Object.keys(env).filter((name) => name.startsWith('SHARD_'));
  if (named.length === 0) return;
  await redis.sharded.set('key', 'there');
  expect(await redis.sharded.get('key')).toBe('there');
  expect(Object.keys((await redis.stats()).shards.shards)).toHaveLength(named.length);
}

describe.concurrent('what the page has one set', () => {
  it.each(['none', 'shards', 'cluster', 'sentinel'])(
    '(%s) are ports that the profile publishes',
    (profile) => {
      const open = services
        .filter(([, service]) => [profile, 'none'].includes(profileOf(service)))
        .flatMap(([, service]) => published(service).flatMap(({ ports }) => ports));
      const named = portsIn(documented(profile));
      expect(named.length).toBeGreaterThan(0);
      expect(named.filter((port) => !open.includes(port))).toEqual([]);
    },
  );

  it('(none) reaches one server', async (test) => {
    const { port } = await shared('standalone');
    await worksWith(moved(documented('none'), new Map([[6379, port]])), 'standalone', test);
  });

  it('(shards) reaches three servers', async (test) => {
    const { nodes } = await shared('shards');
    const { port } = await shared('standalone');
    const to = new Map([[6379, port], ...nodes.map((node, i) => [6381 + i, node.port] as const)]);
    await worksWith(moved(documented('shards'), to), 'standalone', test);
  });

  it('(cluster) reaches a cluster', async (test) => {
    const { nodes } = await shared('cluster');
    const to = new Map(nodes.map((node, i) => [7001 + i, node.port]));
    await worksWith(moved(documented('cluster'), to), 'cluster', test);
  });

  it('(sentinel) reaches what the sentinels name', async (test) => {
    const { sentinels, name } = await shared('sentinel');
    const env = documented('sentinel');
    expect(env['REDIS_SENTINEL_NAME']).toBe(name);
    await worksWith(
      moved(env, new Map(sentinels.map(({ port }, i) => [26_379 + i, port]))),
      'sentinel',
      test,
    );
  });
});

/** The start scripts as the containers run them, but for Docker: a folder for each volume, other ports. */
describe.concurrent('the start scripts', () => {
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  const children: ChildProcess[] = [];
  const reservations: PortReservation[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anbar-compose-'));
    const binary = await serverBinary();
    if (binary.kind !== 'native' || binary.cli === undefined) {
      throw new Error('the start scripts need redis-server and redis-cli: install Debian’s redis package');
    }
    const programs = {
      'docker-entrypoint.sh': '"$@"',
      'redis-server': `${binary.server} "$@"`,
      'redis-cli': `${binary.cli} "$@"`,
    };
    for (const [name, command] of Object.entries(programs)) {
      const path = join(folder, name);
      await writeFile(path, `#!/bin/sh\nexec ${command}\n`);
      await chmod(path, 0o755);
    }
    environment = {
      ...binary.environment,
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      BIND: '127.0.0.1',
      REDIS_PASSWORD: 'a secret',
    };
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const { release } of reservations) release();
    await rm(folder, { recursive: true, force: true });
  });

  async function freePort(): Promise<number> {
    const reservation = await reservePort();
    reservations.push(reservation);
    return reservation.port;
  }

  async function start(script: string, ...args: readonly (string | number)[]): Promise<() => Promise<void>> {
    const data = join(folder, `data-${String(args[0])}`);
    await mkdir(data, { recursive: true });
    const child = spawn('sh', [join(REPOSITORY, 'docker/redis', script), ...args.map(String)], {
      cwd: data,
      env: { ...environment, DATA_FOLDER: data },
      stdio: 'ignore',
    });
    children.push(child);
    return async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    };
  }

  /** Sentinels of the file have no password of their own. */
  async function serves(port: number, password?: string): Promise<void> {
    const target = password === undefined ? port : { port, username: 'default', password };
    await until(async () => (await admin(target, 'PING')) === 'PONG', {
      what: `port ${port}`,
      timeout: 20_000,
    });
  }

  it('make a cluster that serves, and find it made the second time', { timeout: 60_000 }, async (test) => {
    const ports = await Promise.all(Array.from({ length: 6 }, freePort));
    await Promise.all(ports.map((port) => start('start-server.sh', port, 'cluster')));
    await Promise.all(ports.map((port) => serves(port, 'a secret')));
    const create = () =>
      run('sh', [join(REPOSITORY, 'docker/redis/create-cluster.sh'), ...ports.map(String)], {
        env: environment,
      });
    const first = await create();
    expect(first.stdout).toContain('the cluster serves');
    expect((await create()).stdout).not.toContain('Performing hash slots allocation');
    const env = moved(documented('cluster'), new Map(ports.map((port, i) => [7001 + i, port])));
    await worksWith({ ...env, REDIS_PASSWORD: 'a secret' }, 'cluster', test);
  });

  it('make a set that sentinels watch', { timeout: 60_000 }, async (test) => {
    const [primary, replica, ...sentinels] = await Promise.all(Array.from({ length: 5 }, freePort));
    if (primary === undefined || replica === undefined) throw new Error('no ports');
    await start('start-server.sh', primary);
    await serves(primary, 'a secret');
    await start('start-server.sh', replica, 'replica', primary);
    await Promise.all(sentinels.map((port) => start('start-sentinel.sh', port, 'main', primary)));
    await Promise.all(sentinels.map((port) => serves(port)));
    const env = moved(documented('sentinel'), new Map(sentinels.map((port, i) => [26_379 + i, port])));
    await until(
      async () => String(await admin(sentinels[0] ?? 0, 'SENTINEL', 'CKQUORUM', 'main')).startsWith('OK'),
      {
        what: 'a quorum',
        timeout: 20_000,
      },
    );
    const link = () =>
      admin({ port: replica, username: 'default', password: 'a secret' }, 'INFO', 'replication');
    await until(async () => String(await link()).includes('master_link_status:up'), {
      what: 'the replica to be in step',
      timeout: 20_000,
    });
    await worksWith({ ...env, REDIS_PASSWORD: 'a secret' }, 'sentinel', test);
  });

  it('keep what was stored over a restart', async () => {
    const port = await freePort();
    const target = { port, username: 'default', password: 'a secret' };
    const stop = await start('start-server.sh', port);
    await serves(port, 'a secret');
    await admin(target, 'SET', 'kept', 'yes');
    await stop();
    await start('start-server.sh', port);
    await serves(port, 'a secret');
    expect(await admin(target, 'GET', 'kept')).toBe('yes');
  });
});
