/** The contract of the locks, on every real topology and on the embedded default. */
import { LockService } from '@anbar/nestjs-redis/lock';
import { lockServiceContract } from '@anbar/nestjs-redis/testing';
import { NAMESPACE, runOverClients } from './over-clients.js';

runOverClients(lockServiceContract, {
  make: (client) => ({
    locks: new LockService({ client, namespace: NAMESPACE }),
    client,
    namespace: NAMESPACE,
  }),
  close: ({ locks }) => locks.disconnect({ drain: '50ms' }),
});
