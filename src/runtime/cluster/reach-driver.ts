// How a host finds its driver, which may come later: attempts with growing pauses, for as long as
// was asked. What another attempt cannot cure ends it at once.

import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { StreamError } from '../../base/stream-error.ts';
import { clusterError } from './cluster-errors.ts';
import type { Connection } from './connection.ts';
import type { Log } from './log.ts';
import type { TlsFiles } from './security.ts';
import type { Endpoint } from './sockets.ts';
import { dial, isUnreachable } from './sockets.ts';

/** First and last pause between two attempts to reach the driver, ms. */
const retryMinMs = 50;
const retryMaxMs = 2_000;

/** A driver that hangs up during the handshake this often does not only restart. */
const handshakesMax = 3;

/** Resolves when `introduce` did; rejects with why there will be no driver. */
export async function reachDriver(options: {
  /** Tried in turn. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: TlsFiles | null;
  readonly waitMs: number;
  /** How often a driver may hang up during the handshake: more says that it is none. */
  readonly hangUpsMax?: number;
  readonly log: Log;
  /** `name`: how errors call the driver. */
  readonly introduce: (socket: Socket, name: string) => Promise<Connection>;
}): Promise<Connection> {
  const { endpoints, tls, waitMs, hangUpsMax = handshakesMax, log } = options;
  const places = endpoints.map(({ host, port }) => `${host}:${port}`);
  const all = `the driver at ${places.join(' or ')}`;
  const giveUpAtMs = performance.now() + waitMs;
  let pauseMs = retryMinMs;
  let handshakes = 0;
  for (let attempt = 0; ; attempt++) {
    const index = attempt % endpoints.length;
    const name = `the driver at ${places[index]}`;
    try {
      const socket = await dial(endpoints[index]!, { tls, checkName: true });
      handshakes++;
      return await options.introduce(socket, name);
    } catch (error) {
      // Or one that stands still, which accepts and then says nothing.
      const dropped = error instanceof StreamError && error.code === 'peer-closed';
      if (dropped && handshakes >= hangUpsMax) throw hangsUp(name, error);
      if (!dropped && !isUnreachable(error)) throw error;
      if (performance.now() + pauseMs > giveUpAtMs) throw unreachable(all, waitMs, error);
      if (pauseMs === retryMinMs) log('info', `waiting for ${all}`);
      // Another may be there at once.
      if (index < endpoints.length - 1) continue;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(2 * pauseMs, retryMaxMs);
    }
  }
}

function hangsUp(name: string, cause: unknown): StreamError {
  return clusterError({
    code: 'handshake-failed',
    message: `${name} hangs up during the handshake`,
    hint: 'is it a driver of mizzle, and do both sides use TLS, or neither?',
    peer: name,
    cause,
  });
}

function unreachable(name: string, waitMs: number, cause: unknown): StreamError {
  return clusterError({
    code: 'driver-unreachable',
    message: `could not reach ${name} within ${waitMs / 1000} s: ${(cause as Error).message}`,
    hint: 'is the driver running, and is the address right? `--wait` waits longer',
    peer: name,
    cause,
  });
}
