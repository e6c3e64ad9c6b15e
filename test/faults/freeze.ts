/** Rows 3 and 13: a server that exists and says nothing. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { faultRow, type FaultRow } from './fault-row.js';
import { serverStage, type ServerStage } from './stages.js';

const frozen = faultRow({
  row: '3',
  title: 'SIGSTOP, then SIGCONT: what was sent is executed late',
  fault: [1_200, 2_000],
  after: [1_200, 3_000],
  recoverWithin: 1_500,
  prepare: () => serverStage(),
  inject: ({ server }) => server.process.freeze(),
  heal: ({ server }) => server.process.thaw(),
});

const frozenLong = faultRow({
  row: '3b',
  title: 'SIGSTOP for longer than the client takes to give up',
  fault: [2_500, 10_000],
  after: [2_500, 4_000],
  recoverWithin: 2_500,
  prepare: () => serverStage(),
  inject: ({ server }) => server.process.freeze(),
  heal: ({ server }) => server.process.thaw(),
});

interface FullStage extends ServerStage {
  readonly fillers: Socket[];
}

/** Connects until the kernel takes no more: from then on a SYN is answered by nobody. */
async function fillBacklog({ server, fillers }: FullStage): Promise<void> {
  for (let accepted = true; accepted && fillers.length < 32;) {
    const socket = connect({ host: server.host, port: server.port });
    socket.on('error', () => undefined);
    fillers.push(socket);
    accepted = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 100)),
    ]);
  }
}

const backlogFull = faultRow<FullStage>({
  row: '13',
  title: 'frozen with a full backlog: a SYN is answered by nobody',
  fault: [1_500, 5_000],
  after: [2_500, 4_000],
  prepare: async () => {
    const stage = await serverStage({ config: { 'tcp-backlog': '1' } });
    const fillers: Socket[] = [];
    const drop = (): void => fillers.forEach((socket) => socket.destroy());
    return {
      ...stage,
      fillers,
      stop: async () => {
        drop();
        await stage.stop();
      },
    };
  },
  inject: async (stage, run) => {
    await stage.server.process.freeze();
    await fillBacklog(stage);
    run.fact('fillers', stage.fillers.length);
  },
  heal: async ({ server, fillers }) => {
    for (const socket of fillers) socket.destroy();
    await server.process.thaw();
  },
});

export const freezeRows: readonly FaultRow[] = [frozen, frozenLong, backlogFull];
