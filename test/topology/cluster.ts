/** A Redis Cluster of three masters with one replica each, made over plain commands, with live slot moves. */
import { infoFields } from './admin.js';
import { orStop, startTogether, stopTogether } from './start-together.js';
import { RedisProcess } from './redis-process.js';
import { until } from './until.js';

const MASTERS = 3;
const NODES = 6;
const SLOTS = 16_384;
const KEYS_PER_MIGRATE = 100;

/**
 * Without the two replica settings the replicas are not synced seconds after the start, and no failover is ever voted:
 * the cluster stays in `fail`.
 */
const DIRECTIVES = [
  'cluster-enabled yes',
  'cluster-config-file nodes.conf',
  'cluster-node-timeout 1000',
  'cluster-replica-validity-factor 0',
];

export interface ClusterOptions {
  /** Password of every node, and what they use among themselves. */
  readonly password?: string;
  /** Let killed nodes come back with their data. @default false */
  readonly keepData?: boolean;
  /** Further settings of every node. */
  readonly config?: Readonly<Record<string, string>>;
}

/** A slot between two masters: `ASK` and `TRYAGAIN` are answered until `finish()`. */
export interface SlotMove {
  readonly from: RedisProcess;
  readonly to: RedisProcess;
  /** Moves up to `count` keys of the slot and resolves with how many there were. */
  migrateKeys(count?: number): Promise<number>;
  /** Moves the rest of the keys and tells every master the new owner. */
  finish(): Promise<void>;
}

export interface ClusterTopology {
  readonly nodes: readonly RedisProcess[];
  readonly password: string | undefined;
  /** Nodes that are master and alive, in the opinion of the cluster. */
  masters(): Promise<RedisProcess[]>;
  /** The live replicas of a master. */
  replicasOf(master: RedisProcess): Promise<RedisProcess[]>;
  /** The master that serves the slot. */
  ownerOf(slot: number): Promise<RedisProcess>;
  /** Opens the move of a slot and leaves it open. */
  beginMove(slot: number, to: RedisProcess): Promise<SlotMove>;
  /** Moves a slot with all its keys. */
  moveSlot(slot: number, to: RedisProcess): Promise<void>;
  /** Waits until every live node says `cluster_state:ok`, none counts on `gone`, and every live replica is in sync. */
  settled(gone?: RedisProcess): Promise<void>;
  stop(): Promise<void>;
}

/** One line of CLUSTER NODES. */
interface NodeLine {
  readonly id: string;
  readonly port: number;
  readonly flags: readonly string[];
  readonly masterId: string;
  readonly ranges: readonly (readonly [number, number])[];
}

function parseNodeLine(line: string): NodeLine {
  const [id = '', address = '', flags = '', masterId = '', ...rest] = line.split(' ');
  // After ping, pong, epoch and link state come the slots; `[93-<-id]` marks a slot on the move.
  const ranges = rest.slice(4).filter((text) => /^\d/.test(text));
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    flags: flags.split(','),
    masterId,
    ranges: ranges.map((text) => {
      const [low, high = low] = text.split('-').map(Number);
      return [low ?? -1, high ?? -1] as const;
    }),
  };
}

async function nodeLines(node: RedisProcess): Promise<NodeLine[]> {
  return String(await node.admin('CLUSTER', 'NODES'))
    .trimEnd()
    .split('\n')
    .map(parseNodeLine);
}

class ClusterSet implements ClusterTopology {
  readonly password: string | undefined;

  constructor(
    readonly nodes: readonly RedisProcess[],
    options: ClusterOptions,
  ) {
    this.password = options.password;
  }

  async masters(): Promise<RedisProcess[]> {
    const lines = await this.#lines();
    return lines.filter(isLiveMaster).map((line) => this.#at(line.port));
  }

  async replicasOf(master: RedisProcess): Promise<RedisProcess[]> {
    const lines = await this.#lines();
    const id = lines.find((line) => line.port === master.port)?.id;
    return lines.filter((line) => line.masterId === id && !isFailed(line)).map((line) => this.#at(line.port));
  }

  async ownerOf(slot: number): Promise<RedisProcess> {
    const lines = await this.#lines();
    const owner = lines.find(
      (line) => isLiveMaster(line) && line.ranges.some(([low, high]) => low <= slot && slot <= high),
    );
    if (owner === undefined) throw new Error(`No live master serves slot ${slot}`);
    return this.#at(owner.port);
  }

  async beginMove(slot: number, to: RedisProcess): Promise<SlotMove> {
    const from = await this.ownerOf(slot);
    if (from === to) throw new Error(`Slot ${slot} is on port ${to.port} already`);
    const [fromId, toId] = [await from.admin('CLUSTER', 'MYID'), await to.admin('CLUSTER', 'MYID')];
    await to.admin('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(fromId));
    await from.admin('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(toId));
    const migrateKeys = (count = KEYS_PER_MIGRATE) => this.#migrate(from, to, { slot, count });
    const finish = async () => {
      while ((await migrateKeys()) > 0);
      // The new owner first: were the old one first, neither would serve the slot for a moment.
      const others = (await this.masters()).filter((node) => node !== from && node !== to);
      for (const node of [to, from, ...others])
        await node.admin('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId));
    };
    return { from, to, migrateKeys, finish };
  }

  async moveSlot(slot: number, to: RedisProcess): Promise<void> {
    const move = await this.beginMove(slot, to);
    await move.finish();
  }

  async settled(gone?: RedisProcess): Promise<void> {
    const what = 'cluster_state:ok and replicas in sync on all live nodes';
    await until(() => this.#settled(gone), { what, timeout: 30_000, every: 20 });
  }

  stop(): Promise<void> {
    return stopTogether(this.nodes);
  }

  #at(port: number): RedisProcess {
    const node = this.nodes.find((candidate) => candidate.port === port);
    if (node === undefined) throw new Error(`No node of the topology has port ${port}`);
    return node;
  }

  #lines(): Promise<NodeLine[]> {
    const node = this.nodes.find((candidate) => candidate.alive);
    if (node === undefined) throw new Error('No node of the topology is alive');
    return nodeLines(node);
  }

  async #migrate(
    from: RedisProcess,
    to: RedisProcess,
    part: { slot: number; count: number },
  ): Promise<number> {
    const keys = await from.admin('CLUSTER', 'GETKEYSINSLOT', part.slot, part.count);
    if (!Array.isArray(keys) || keys.length === 0) return 0;
    const login = this.password === undefined ? [] : ['AUTH', this.password];
    await from.admin('MIGRATE', to.host, to.port, '', 0, 5000, ...login, 'KEYS', ...keys.map(String));
    return keys.length;
  }

  async #settled(gone: RedisProcess | undefined): Promise<boolean> {
    const alive = this.nodes.filter((node) => node.alive && node !== gone);
    const views = await Promise.all(alive.map(nodeLines));
    // Just after a master died everybody still believes in it, and its cluster still says `ok`.
    if (views.some((lines) => lines.some((line) => isLiveMaster(line) && line.port === gone?.port)))
      return false;
    const states = await Promise.all(
      alive.map(async (node) => infoFields(await node.admin('CLUSTER', 'INFO'))),
    );
    if (!states.every((state) => state['cluster_state'] === 'ok')) return false;
    const links = await Promise.all(alive.map((node) => node.info('replication')));
    return links.every((link) => link['role'] === 'master' || link['master_link_status'] === 'up');
  }
}

function isFailed({ flags }: NodeLine): boolean {
  return flags.includes('fail') || flags.includes('noaddr') || flags.includes('handshake');
}

function isLiveMaster(line: NodeLine): boolean {
  return line.flags.includes('master') && !isFailed(line) && line.ranges.length > 0;
}

async function assignSlots(nodes: readonly RedisProcess[]): Promise<void> {
  const bounds = Array.from({ length: MASTERS + 1 }, (_, index) => Math.round((index * SLOTS) / MASTERS));
  await Promise.all(
    nodes.map(async (node, index) => {
      await node.admin('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      if (index >= MASTERS) return;
      const [low = 0, high = 0] = bounds.slice(index, index + 2);
      const slots = Array.from({ length: high - low }, (_, offset) => low + offset);
      await node.admin('CLUSTER', 'ADDSLOTS', ...slots);
    }),
  );
}

/** Everybody meets everybody: gossip alone would take seconds to make them known to each other. */
async function introduce(nodes: readonly RedisProcess[]): Promise<void> {
  const pairs = nodes.flatMap((one, index) => nodes.slice(index + 1).map((other) => [one, other] as const));
  await Promise.all(pairs.map(([one, other]) => one.admin('CLUSTER', 'MEET', other.host, other.port)));
  const known = async () => {
    const views = await Promise.all(nodes.map(nodeLines));
    return views.every((lines) => lines.length === NODES && !lines.some(isFailed));
  };
  await until(known, { what: 'all cluster nodes to know each other', timeout: 15_000, every: 20 });
}

async function attachReplicas(nodes: readonly RedisProcess[]): Promise<void> {
  const ids = await Promise.all(nodes.map((node) => node.admin('CLUSTER', 'MYID')));
  await Promise.all(
    nodes.slice(MASTERS).map((node, index) => node.admin('CLUSTER', 'REPLICATE', String(ids[index]))),
  );
}

/** Starts the nodes, joins them and waits until all of them serve. */
export async function startCluster(options: ClusterOptions = {}): Promise<ClusterTopology> {
  const { password, keepData = false, config = {} } = options;
  const login = password === undefined ? [] : [`requirepass "${password}"`, `masterauth "${password}"`];
  const directives = [
    ...DIRECTIVES,
    ...login,
    ...Object.entries(config).map(([name, value]) => `${name} ${value}`),
  ];
  const start = () => RedisProcess.start({ directives, keepData });
  const nodes = await startTogether(Array.from({ length: NODES }, start));
  return orStop(nodes, async () => {
    const cluster = new ClusterSet(nodes, options);
    await assignSlots(nodes);
    await introduce(nodes);
    await attachReplicas(nodes);
    await cluster.settled();
    return cluster;
  });
}
