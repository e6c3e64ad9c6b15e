/** The ways in which Redis goes away in the model, and comes back with all it had. */
import type { FallbackStage } from './fallback-stage.js';

export interface Outage {
  readonly name: string;
  begin(stage: FallbackStage): Promise<void> | void;
  end(stage: FallbackStage): Promise<void>;
}

const passAgain = ({ proxy }: FallbackStage): Promise<void> => proxy.pass();

export const OUTAGES: readonly Outage[] = [
  {
    name: 'connections are reset and refused',
    async begin({ proxy }) {
      await proxy.refuse();
      proxy.rst();
    },
    end: passAgain,
  },
  { name: 'connections are reset', begin: ({ proxy }) => proxy.rst(), end: passAgain },
  { name: 'nothing gets through', begin: ({ proxy }) => proxy.blackhole('both'), end: passAgain },
  { name: 'no answer gets through', begin: ({ proxy }) => proxy.blackhole('toClient'), end: passAgain },
  { name: 'answers are lost', begin: ({ proxy }) => proxy.swallowThenReset(), end: passAgain },
  {
    name: 'the server is frozen',
    begin: ({ server }) => server.process.freeze(),
    end: ({ server }) => server.process.thaw(),
  },
  {
    name: 'the server is killed',
    begin: ({ server }) => server.process.kill(),
    end: ({ server }) => server.process.restart('keepData'),
  },
  { name: 'connections are closed at once', begin: closeAll, end: passAgain },
];

function closeAll({ proxy }: FallbackStage): void {
  proxy.acceptThenClose();
  proxy.rst();
}
