/**
 * Reserves TCP ports for servers. Numbers lie below the ephemeral range (32768 on Linux), so no outgoing connection
 * takes a port while its server is down between kill and restart.
 */
import { createSocket, type Socket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const LOWEST = 12_000;
const HIGHEST = 21_999;
/** Redis Cluster's bus listens on port + 10000; with the range above it never meets another server's port. */
const BUS_OFFSET = 10_000;
const TRIES = 200;

export interface PortReservation {
  readonly port: number;
  /** Gives the port back; a second call does nothing. */
  readonly release: () => void;
}

/**
 * The reservation itself is a UDP socket of the same number: it leaves the TCP port to the server, other test processes
 * see it, and the kernel drops it when this process dies.
 */
function claim(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      resolve(socket.unref());
    });
  });
}

/** Whether nothing listens on 127.0.0.1 at this port. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** A port that is free, with its cluster bus port, and stays ours until `release()` or the end of this process. */
export async function reservePort(): Promise<PortReservation> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    const socket = await claim(port);
    if (socket === undefined) continue;
    if ((await isPortFree(port)) && (await isPortFree(port + BUS_OFFSET))) {
      let held = true;
      const release = () => {
        if (held) socket.close();
        held = false;
      };
      return { port, release };
    }
    socket.close();
  }
  throw new Error(`No free port between ${LOWEST} and ${HIGHEST} after ${TRIES} tries`);
}
