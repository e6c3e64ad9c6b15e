/** One primary, two replicas, three sentinels that agree: a set that fails over in seconds. */
import { orStop, startTogether, stopTogether } from './start-together.js';
import { RedisProcess } from './redis-process.js';
import { until } from './until.js';

const NAME = 'main';
const REPLICAS = 2;
const SENTINELS = 3;
const QUORUM = 2;

/**
 * Sentinel asks and announces every 2 to 10 s by default; tests have no time for that. Known to Redis 7.0 and later, older
 * servers are merely slower. A stalled test machine must not send the sentinels into the 30 s TILT mode either.
 */
const QUICKER = ['info-period', 300, 'publish-period', 200, 'ping-period', 200, 'tilt-period', 1000];

export interface SentinelOptions {
  /** Password of the primary and the replicas, and what they use among themselves. */
  readonly password?: string;
  /** Password of the sentinels. */
  readonly sentinelPassword?: string;
  /** Milliseconds of silence after which a sentinel thinks a server is down. @default 1000 */
  readonly downAfter?: number;
  /** Let killed servers come back with their data. @default false */
  readonly keepData?: boolean;
  /** Further settings of the primary and the replicas. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface SentinelTopology {
  /** The name the sentinels know the set by. */
  readonly name: string;
  readonly sentinels: readonly Address[];
  readonly password: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly processes: {
    readonly servers: readonly RedisProcess[];
    readonly sentinels: readonly RedisProcess[];
  };
  /** The server that the sentinels name now. */
  primary(): Promise<RedisProcess>;
  /** Every other server, dead ones too. */
  replicas(): Promise<RedisProcess[]>;
  /** Orders a failover and waits until it is done everywhere. */
  failover(): Promise<RedisProcess>;
  /** Waits until the sentinels agree on a primary, other than `old` if given, with its live replicas in sync. */
  settled(old?: RedisProcess): Promise<RedisProcess>;
  stop(): Promise<void>;
}

function serverDirectives({ password, config = {} }: SentinelOptions): string[] {
  const login = password === undefined ? [] : [`requirepass "${password}"`, `masterauth "${password}"`];
  return [...login, ...Object.entries(config).map(([name, value]) => `${name} ${value}`)];
}

function sentinelDirectives(primary: RedisProcess, options: SentinelOptions): string[] {
  const { password, sentinelPassword, downAfter = 1000 } = options;
  const lines = [
    `sentinel monitor ${NAME} ${primary.host} ${primary.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${NAME} ${downAfter}`,
    // An election that finds no winner is repeated after twice this time.
    `sentinel failover-timeout ${NAME} 2000`,
    `sentinel parallel-syncs ${NAME} ${REPLICAS}`,
  ];
  if (password !== undefined) lines.push(`sentinel auth-pass ${NAME} ${password}`);
  if (sentinelPassword !== undefined) {
    lines.push(`requirepass "${sentinelPassword}"`, `sentinel sentinel-pass ${sentinelPassword}`);
  }
  return lines;
}

class SentinelSet implements SentinelTopology {
  readonly name = NAME;
  readonly sentinels: readonly Address[];
  readonly password: string | undefined;
  readonly sentinelPassword: string | undefined;

  constructor(
    readonly processes: SentinelTopology['processes'],
    options: SentinelOptions,
  ) {
    this.sentinels = processes.sentinels.map(({ host, port }) => ({ host, port }));
    this.password = options.password;
    this.sentinelPassword = options.sentinelPassword;
  }

  async primary(): Promise<RedisProcess> {
    const [first] = await this.#named();
    if (first === undefined) throw new Error('No sentinel of the topology is alive');
    return first;
  }

  async replicas(): Promise<RedisProcess[]> {
    const primary = await this.primary();
    return this.processes.servers.filter((server) => server !== primary);
  }

  async failover(): Promise<RedisProcess> {
    const old = await this.settled();
    const [sentinel] = this.processes.sentinels.filter((one) => one.alive);
    await sentinel?.admin('SENTINEL', 'FAILOVER', NAME);
    return this.settled(old);
  }

  settled(old?: RedisProcess): Promise<RedisProcess> {
    const what = `the sentinels to agree on ${old ? 'another' : 'a'} primary with its replicas in sync`;
    return until(() => this.#settled(old), { what, timeout: 30_000, every: 20 });
  }

  stop(): Promise<void> {
    return stopTogether([...this.processes.sentinels, ...this.processes.servers]);
  }

  /** The primary in the opinion of each sentinel alive. */
  async #named(): Promise<RedisProcess[]> {
    const alive = this.processes.sentinels.filter((sentinel) => sentinel.alive);
    const replies = await Promise.all(
      alive.map((one) => one.admin('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)),
    );
    return replies.map((reply) => {
      const port = Array.isArray(reply) ? Number(reply[1]) : undefined;
      const server = this.processes.servers.find((candidate) => candidate.port === port);
      if (server === undefined) throw new Error(`A sentinel names a primary on port ${port}`);
      return server;
    });
  }

  async #settled(old: RedisProcess | undefined): Promise<RedisProcess | undefined> {
    const [primary, ...others] = await this.#named();
    if (primary === undefined || primary === old || others.some((other) => other !== primary))
      return undefined;
    const { role } = await primary.info('replication');
    if (role !== 'master') return undefined;
    const replicas = this.processes.servers.filter((server) => server !== primary && server.alive);
    const states = await Promise.all(replicas.map((replica) => replica.info('replication')));
    const inSync = states.every(
      (state) => state['master_link_status'] === 'up' && state['master_port'] === String(primary.port),
    );
    return inSync && (await this.#knowEachOther(replicas)) ? primary : undefined;
  }

  /** A sentinel that does not yet know a replica or another sentinel could neither promote it nor win its vote. */
  async #knowEachOther(replicas: readonly RedisProcess[]): Promise<boolean> {
    const alive = this.processes.sentinels.filter((sentinel) => sentinel.alive);
    const views = await Promise.all(alive.map((sentinel) => sentinel.info('sentinel')));
    return views.every((view) => {
      const [, slaves, sentinels] = /slaves=(\d+),sentinels=(\d+)/.exec(view['master0'] ?? '') ?? [];
      return Number(slaves) >= replicas.length && Number(sentinels) === SENTINELS;
    });
  }
}

async function startServers(options: SentinelOptions): Promise<[RedisProcess, ...RedisProcess[]]> {
  const directives = serverDirectives(options);
  const keepData = options.keepData ?? false;
  const primary = await RedisProcess.start({ directives, keepData });
  return orStop([primary], async () => {
    const line = `replicaof ${primary.host} ${primary.port}`;
    const start = () => RedisProcess.start({ directives: [...directives, line], keepData });
    return [primary, ...(await startTogether(Array.from({ length: REPLICAS }, start)))];
  });
}

async function startSentinels(primary: RedisProcess, options: SentinelOptions): Promise<RedisProcess[]> {
  const directives = sentinelDirectives(primary, options);
  const start = () => RedisProcess.start({ mode: 'sentinel', directives });
  const sentinels = await startTogether(Array.from({ length: SENTINELS }, start));
  // An older server does not know the command: it is merely slower.
  await Promise.all(
    sentinels.map((one) => one.admin('SENTINEL', 'DEBUG', ...QUICKER).catch(() => undefined)),
  );
  return sentinels;
}

/** Starts the set and waits until the sentinels agree and the replicas are in sync. */
export async function startSentinel(options: SentinelOptions = {}): Promise<SentinelTopology> {
  const servers = await startServers(options);
  return orStop(servers, async () => {
    const sentinels = await startSentinels(servers[0], options);
    const topology = new SentinelSet({ servers, sentinels }, options);
    return orStop(sentinels, async () => {
      await topology.settled();
      return topology;
    });
  });
}
