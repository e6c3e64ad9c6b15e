/** Rows 21, 23, 25: a healthy connection to a server that says no. */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { until, type RedisProcess } from '../topology/index.js';
import { faultRow, type FaultRow } from './fault-row.js';
import { PLANTED_PASSWORD } from './planted-secrets.js';
import { serverStage, type ServerStage } from './stages.js';

/** A refusal leaves nothing behind: as soon as the server consents again, calls succeed again. */
export const CONSENT_MS = 500;

type Codes = Readonly<Record<string, number>>;

/** The callers must have been told the server's own word. */
const says =
  (word: string) =>
  ({ codes }: { codes: Codes }): readonly string[] =>
    Object.keys(codes).some((code) => code.includes(word)) ? [] : [`nobody was told ${word}`];

const outOfMemory = faultRow({
  row: '21',
  title: 'maxmemory reached, noeviction: OOM for writes',
  fault: [700, 2_000],
  after: [2_000, 4_000],
  prepare: () => serverStage({ policy: 'noeviction' }),
  inject: async ({ server }) => {
    await server.process.admin('CONFIG', 'SET', 'maxmemory', '1mb');
  },
  heal: async ({ server }, run) => {
    run.fact('failed reads', run.failedReads());
    await server.process.admin('CONFIG', 'SET', 'maxmemory', '0');
  },
  judge: ({ facts, codes }) => [
    ...(facts['failed reads'] === 0 ? [] : [`${facts['failed reads']} reads failed with the writes`]),
    ...says('OOM')({ codes }),
  ],
});

/** A script that never ends; the server answers BUSY until it is killed. */
async function busy({ server }: ServerStage): Promise<void> {
  const loop = server.process.admin('EVAL', 'while true do end', 0);
  loop.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
}

async function replicaOfNobody({ server }: ServerStage): Promise<void> {
  await server.process.admin('REPLICAOF', '127.0.0.1', 1);
}

async function ownMaster({ server }: ServerStage): Promise<void> {
  await server.process.admin('REPLICAOF', 'NO', 'ONE');
}

async function breakSnapshots(server: RedisProcess): Promise<void> {
  // A folder in the place of the file: the rename at the end of BGSAVE fails even for root.
  await mkdir(join(server.folder, 'dump.rdb', 'occupied'), { recursive: true });
  await server.admin('CONFIG', 'SET', 'save', '900 1');
  await server.admin('BGSAVE');
  await until(async () => (await server.info('persistence'))['rdb_last_bgsave_status'] === 'err', {
    what: 'the snapshot to fail',
  });
}

interface Refusal {
  readonly row: string;
  /** First word of the reply that callers must have been told. BUSY comes so late that some see a timeout only. */
  readonly word?: string;
  readonly title: string;
  readonly config?: Readonly<Record<string, string>>;
  readonly inject: (stage: ServerStage) => Promise<unknown>;
  readonly heal: (stage: ServerStage) => Promise<unknown>;
}

const set = (stage: ServerStage, name: string, value: string): Promise<unknown> =>
  stage.server.process.admin('CONFIG', 'SET', name, value);

const REFUSALS: readonly Refusal[] = [
  {
    row: '23a',
    title: 'BUSY: a script that does not end',
    config: { 'busy-reply-threshold': '100' },
    inject: busy,
    heal: ({ server }) => server.process.admin('SCRIPT', 'KILL'),
  },
  {
    row: '23b',
    word: 'MASTERDOWN',
    title: 'MASTERDOWN: a replica without its master that must not serve',
    config: { 'replica-serve-stale-data': 'no' },
    inject: replicaOfNobody,
    heal: ownMaster,
  },
  {
    row: '23c',
    word: 'NOREPLICAS',
    title: 'NOREPLICAS: fewer replicas than writes ask for',
    inject: (stage) => set(stage, 'min-replicas-to-write', '1'),
    heal: (stage) => set(stage, 'min-replicas-to-write', '0'),
  },
  {
    row: '23d',
    word: 'MISCONF',
    title: 'MISCONF: snapshots fail, so writes are refused',
    inject: ({ server }) => breakSnapshots(server.process),
    heal: (stage) => set(stage, 'stop-writes-on-bgsave-error', 'no'),
  },
];

const refusals = REFUSALS.map(({ row, word, title, config, inject, heal }) =>
  faultRow({
    row,
    title,
    fault: [600, 1_500],
    after: [2_500, 5_000],
    recoverWithin: CONSENT_MS,
    prepare: () => serverStage(config === undefined ? {} : { config }),
    inject: async (stage) => {
      await inject(stage);
    },
    heal: async (stage) => {
      await heal(stage);
    },
    ...(word === undefined ? {} : { judge: says(word) }),
  }),
);

const loading = faultRow({
  row: '23e',
  title: 'LOADING: restarted, and reading its data',
  fault: [0, 0],
  after: [1_000, 2_000],
  recoverWithin: 1_000,
  prepare: () =>
    serverStage({
      keepData: true,
      config: { 'key-load-delay': '8000', 'loading-process-events-interval-bytes': '1024' },
    }),
  inject: async ({ server }, run) => {
    await server.process.restart('keepData');
    run.markRecovery();
  },
});

interface CrowdStage extends ServerStage {
  /** The one that has the only place. */
  readonly guest: Socket;
}

/** In one write, so that nobody gets in between: no place but the guest's, and everybody else out. */
async function crowdOut({ guest }: CrowdStage): Promise<void> {
  guest.write('CONFIG SET maxclients 1\r\nCLIENT KILL TYPE normal SKIPME yes\r\n');
  await once(guest, 'data');
}

const crowded = faultRow<CrowdStage>({
  row: '25',
  title: 'maxclients reached while the client has to reconnect',
  fault: [900, 2_500],
  after: [2_500, 4_000],
  recoverWithin: 2_500,
  prepare: async () => {
    const stage = await serverStage();
    const guest = connect({ host: stage.server.host, port: stage.server.port });
    guest.on('error', () => undefined);
    await once(guest, 'connect');
    guest.write(`AUTH ${PLANTED_PASSWORD}\r\n`);
    await once(guest, 'data');
    return {
      ...stage,
      guest,
      stop: async () => {
        guest.destroy();
        await stage.stop();
      },
    };
  },
  inject: crowdOut,
  heal: async ({ server, guest }, run) => {
    run.fact('says why', Number(run.clientSays('max number of clients')));
    guest.write('CONFIG SET maxclients 1000\r\n');
    await once(guest, 'data');
    run.markRecovery();
    const { rejected_connections: rejected } = await server.process.info('stats');
    run.fact('connects refused', Number(rejected));
  },
  judge: ({ facts }) => (facts['says why'] === 1 ? [] : ['nobody is told that there are too many clients']),
});

export const serverErrorRows: readonly FaultRow[] = [outOfMemory, ...refusals, loading, crowded];
