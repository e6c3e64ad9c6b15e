/** The contract of pub/sub, on every real topology and on the embedded default. */
import { PubSub } from '@anbar/nestjs-redis/pubsub';
import { pubSubContract } from '@anbar/nestjs-redis/testing';
import { NAMESPACE, runOverClients } from './over-clients.js';

runOverClients(pubSubContract, {
  make: (client) => ({ pubsub: new PubSub({ client, namespace: NAMESPACE }), client, namespace: NAMESPACE }),
  close: ({ pubsub }) => pubsub.disconnect(),
});
