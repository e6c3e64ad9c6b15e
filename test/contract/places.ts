/** Where the contracts run: embedded, and every real topology. */
import { createRedis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { admin, shared, startStandalone, type Standalone } from '../topology/index.js';

export interface Place {
  /** Column of the table. */
  readonly name: string;
  /** Put before keys and channels where the user may touch nothing else. */
  readonly prefix: string;
  options(): Promise<RedisModuleOptions>;
  flushScripts(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * What this package needs, and nothing that harms others; the order of the rules matters. All channels, because Redis
 * allows a pattern subscription only by the very text of a pattern in the rules.
 */
const ACL_RULES =
  '~app:* &* -@all +@read +@write +@string +@hash +@set +@sortedset +@list +@stream +@pubsub ' +
  '+@transaction +@connection +@scripting -@admin -@dangerous +info +role +time -script|kill -script|flush ' +
  '-function -dump';

const nothing = (): Promise<void> => Promise.resolve();

async function flushScripts(ports: readonly number[]): Promise<void> {
  await Promise.all(ports.map((port) => admin(port, 'SCRIPT', 'FLUSH')));
}

const embedded: Place = {
  name: 'embedded',
  prefix: '',
  options: () => Promise.resolve({ topology: 'embedded' }),
  flushScripts: nothing,
  stop: nothing,
};

const standalone: Place = {
  name: 'standalone',
  prefix: '',
  options: async () => ({ url: (await shared('standalone')).url }),
  flushScripts: async () => flushScripts([(await shared('standalone')).port]),
  stop: nothing,
};

const sentinel: Place = {
  name: 'sentinel',
  prefix: '',
  options: async () => {
    const { name, sentinels } = await shared('sentinel');
    return { sentinel: { name, nodes: sentinels } };
  },
  flushScripts: async () => flushScripts((await shared('sentinel')).servers.map(({ port }) => port)),
  stop: nothing,
};

const cluster: Place = {
  name: 'cluster',
  prefix: '',
  options: async () => ({ cluster: { nodes: (await shared('cluster')).nodes.slice(0, 2) } }),
  flushScripts: async () => flushScripts((await shared('cluster')).nodes.map(({ port }) => port)),
  stop: nothing,
};

/** TLS only, and a user who may do what the package needs with the keys of one prefix. */
function tlsWithAcl(): Place {
  let started: Promise<Standalone> | undefined;
  const server = (): Promise<Standalone> =>
    (started ??= startStandalone({
      tls: true,
      acl: { user: 'app', password: 'p@ss:word/#1', rules: ACL_RULES },
    }));
  return {
    name: 'tls+acl',
    prefix: 'app:',
    options: async () => {
      const { url, tls } = await server();
      return { url, tls: tls === undefined ? true : { ca: tls.ca } };
    },
    flushScripts: async () => void (await (await server()).process.admin('SCRIPT', 'FLUSH')),
    stop: async () => (await started)?.stop(),
  };
}

/** One set of places per test file. */
export function openPlaces(): readonly Place[] {
  return [embedded, standalone, tlsWithAcl(), sentinel, cluster];
}

/** Room for the ten thousand calls of the contract; deadlines for a machine that is busy with other tests. */
export async function openRedis(place: Place) {
  const options = {
    ...(await place.options()),
    pool: { maxInFlight: 20_000 },
    connectTimeout: '10s',
    timeout: '5s',
  };
  return createRedis(options as RedisModuleOptions, {});
}
