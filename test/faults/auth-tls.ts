/** Rows 24 and 26: a login or a certificate that is not good. */
import type { CertificateFault } from '../topology/index.js';
import { faultRow, type FaultRow, type Stage } from './fault-row.js';
import type { FaultReport } from './fault-report.js';
import { PLANTED_PASSWORD } from './planted-secrets.js';
import { proxyStage, serverStage, type ProxyStage, type ServerStage } from './stages.js';

const NEXT_PASSWORD = `${PLANTED_PASSWORD}-rotated`;

async function setPassword({ server }: ServerStage, password: string): Promise<void> {
  await server.process.admin('ACL', 'SETUSER', 'default', 'resetpass', `>${password}`);
  await server.process.admin('CLIENT', 'KILL', 'TYPE', 'normal');
}

const attempts = ({ proxy }: ProxyStage): number => proxy.stats.connections;

const wrongPassword = faultRow({
  row: '24',
  title: 'WRONGPASS: the password was changed behind our back, then changed back',
  fault: [1_500, 6_000],
  after: [2_500, 8_000],
  prepare: proxyStage,
  inject: async (stage) => {
    stage.proxy.resetStats();
    await setPassword(stage, NEXT_PASSWORD);
  },
  heal: async (stage, run) => {
    run.fact('logins tried', attempts(stage));
    run.fact('says why', Number(run.clientSays('WRONGPASS')));
    await setPassword(stage, PLANTED_PASSWORD);
  },
  judge: ({ facts }) => [
    ...((facts['logins tried'] ?? 0) <= 6 ? [] : [`${facts['logins tried']} logins tried: a storm`]),
    ...(facts['says why'] === 1 ? [] : ['nobody is told WRONGPASS']),
  ],
});

interface RotationStage extends ServerStage {
  password: string;
}

const rotated = faultRow<RotationStage>({
  row: '24b',
  title: 'password rotated; the client asks its source for the present one',
  fault: [0, 0],
  after: [1_200, 2_500],
  recoverWithin: 500,
  prepare: async () => {
    const stage = await serverStage();
    const state: RotationStage = { ...stage, password: PLANTED_PASSWORD };
    return Object.assign(state, {
      target: { ...stage.target, ours: { password: () => state.password } },
    });
  },
  inject: async (stage) => {
    stage.password = NEXT_PASSWORD;
    await setPassword(stage, NEXT_PASSWORD);
  },
});

const noPermission = faultRow({
  row: '24c',
  title: 'NOPERM: a command the user may not run',
  fault: [500, 1_000],
  after: [300, 500],
  maxFailed: 1,
  prepare: () =>
    serverStage({ acl: { user: 'app', password: PLANTED_PASSWORD, rules: '~* &* +@all -lpush' } }),
  inject: async (_stage, run) => {
    await run.issue('noperm', () => run.subject.command('LPUSH', ['list', PLANTED_PASSWORD]));
  },
  judge: ({ codes }) => ((codes['REDIS_REPLY:NOPERM'] ?? 0) === 1 ? [] : ['the caller was not told NOPERM']),
});

/** A certificate that must not be trusted: nothing may be sent, neither in the clear nor to a stranger. */
const badCertificate = (row: string, tls: CertificateFault) =>
  faultRow<Stage & ServerStage>({
    row,
    title: `TLS: certificate ${tls}`,
    fault: [600, 1_500],
    after: [0, 0],
    prepare: () => serverStage({ tls }),
    inject: async () => {
      // It was wrong from the beginning.
    },
    heal: async ({ server }, run) => {
      const stats = await server.process.info('commandstats');
      run.fact(
        'commands accepted',
        Object.keys(stats).filter((name) => /_(?:get|mget|incr)$/u.test(name)).length,
      );
    },
    judge: refused,
  });

/** Seeding asks the server too, but never reads or counts. */
function refused({ ok, facts }: FaultReport): readonly string[] {
  return ok === 0 && facts['commands accepted'] === 0
    ? []
    : [`${ok} calls were served over a bad certificate`];
}

const oldProtocol = faultRow({
  row: '26e',
  title: 'TLS: the server speaks 1.2 only, 1.3 is asked for',
  fault: [600, 1_500],
  after: [0, 0],
  prepare: async () => {
    const stage = await serverStage({ tls: true, config: { 'tls-protocols': '"TLSv1.2"' } });
    const ca = stage.server.tls?.ca ?? '';
    return { ...stage, target: { ...stage.target, tls: { ca, minVersion: 'TLSv1.3' as const } } };
  },
  inject: async () => {
    // It was old from the beginning.
  },
  heal: async (_stage, run) => run.fact('commands accepted', 0),
  judge: refused,
});

const plainToTls = faultRow({
  row: '12b',
  title: 'TLS port spoken to in plain',
  fault: [1_000, 5_000],
  after: [0, 0],
  prepare: async (settings) => {
    const { target, ...stage } = await proxyStage(settings, { tls: true });
    const { tls: _tls, ...plain } = target;
    return { ...stage, target: plain };
  },
  inject: async ({ proxy }) => proxy.resetStats(),
  heal: async (stage, run) => {
    run.fact('commands accepted', 0);
    run.fact('connects', attempts(stage));
  },
  judge: (report) => [
    ...refused(report),
    ...((report.facts['connects'] ?? 0) <= 12 ? [] : [`${report.facts['connects']} connects: a busy loop`]),
  ],
});

export const authTlsRows: readonly FaultRow[] = [
  wrongPassword,
  rotated,
  noPermission,
  plainToTls,
  badCertificate('26a', 'expired'),
  badCertificate('26b', 'self-signed'),
  badCertificate('26c', 'wrong-name'),
  badCertificate('26d', 'wrong-ca'),
  oldProtocol,
];
