// TCP and TLS sockets of a cluster: who listens, who connects, and what goes wrong before a single
// byte of ours was said.

import type { AddressInfo, Server, Socket } from 'node:net';
import net from 'node:net';
import tls from 'node:tls';
import type { TlsFiles } from './security.ts';
import { clusterError } from './cluster-errors.ts';

export type Endpoint = { readonly host: string; readonly port: number };

/** What a socket takes before it says that it is full: a usual micro-batch's blocks. */
const highWaterMark = 1024 * 1024;

/** How long a connection may take to come about, ms. */
const dialMs = 10_000;

/** Connections that have not introduced themselves; more strangers at a time are turned away. */
const strangersMax = 256;

export type Listener = {
  readonly port: number;
  /** A connection is no stranger any more. */
  readonly known: (socket: Socket) => void;
  readonly close: () => void;
};

/** Listens at `endpoint`, port 0 for any. Rejects with `listen-failed`. */
export async function listen(options: {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | null;
  readonly onSocket: (socket: Socket, from: string) => void;
  /** A connection that ended before it was one: with TLS, a stranger without. */
  readonly onRefused: (from: string, error: Error) => void;
}): Promise<Listener> {
  const { endpoint, onSocket, onRefused } = options;
  const strangers = new Set<Socket>();
  const onConnection = (socket: Socket): void => {
    if (strangers.size >= strangersMax) {
      socket.destroy();
      return;
    }
    strangers.add(socket);
    socket.on('close', () => strangers.delete(socket));
    onSocket(socket, addressOf(socket));
  };
  const server: Server =
    options.tls === null
      ? net.createServer({ highWaterMark, noDelay: true }, onConnection)
      : tls
          .createServer(
            { ...tlsOptions(options.tls), highWaterMark, noDelay: true, handshakeTimeout: dialMs },
            onConnection,
          )
          .on('tlsClientError', (error, socket) => onRefused(addressOf(socket), error));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(endpoint.port, endpoint.host, resolve);
  try {
    await promise;
  } catch (error) {
    const place = `${endpoint.host}:${endpoint.port}`;
    throw clusterError({
      code: 'listen-failed',
      message: `could not listen at ${place}: ${(error as Error).message}`,
      hint: 'is the port taken, or the address of another machine?',
      peer: place,
      cause: error,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    known: (socket) => void strangers.delete(socket),
    close: () => {
      server.close();
      for (const socket of strangers) socket.destroy();
    },
  };
}

/** Connects once. Rejects with the system's error, or with `tls-failed`. */
export async function dial(
  endpoint: Endpoint,
  options: {
    readonly tls: TlsFiles | null;
    /** Peers are known by their certificate alone, the driver also by the name one gave. */
    readonly checkName: boolean;
  },
): Promise<Socket> {
  const { host, port } = endpoint;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const common = { host, port, noDelay: true, timeout: dialMs };
  const onTimeout = (): void => {
    reject(Object.assign(new Error(`no answer in ${dialMs / 1000} s`), { code: 'ETIMEDOUT' }));
  };
  if (options.tls === null) {
    const plain = net.connect({ ...common, highWaterMark } as net.NetConnectOpts, resolve);
    plain.once('error', reject);
    plain.once('timeout', onTimeout);
    return await connected(plain, promise);
  }
  const secure = tls.connect({
    ...common,
    ...tlsOptions(options.tls),
    ...(options.checkName ? {} : { checkServerIdentity: () => undefined }),
  });
  secure.once('error', reject);
  secure.once('timeout', onTimeout);
  secure.once('secureConnect', resolve);
  try {
    return await connected(secure, promise);
  } catch (error) {
    if (isUnreachable(error)) throw error;
    throw clusterError({
      code: 'tls-failed',
      message: `could not agree on TLS with ${host}:${port}: ${(error as Error).message}`,
      hint:
        'does the other side use TLS, is its certificate for this name, and has the authority ' +
        'of `--tls-ca` signed it?',
      peer: `${host}:${port}`,
      cause: error,
    });
  }
}

/** The socket as whoever asked for it gets it: without listeners or a timeout of ours. */
async function connected(socket: Socket, promise: Promise<void>): Promise<Socket> {
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.removeAllListeners('error');
  socket.removeAllListeners('timeout');
  socket.setTimeout(0);
  return socket;
}

/** Errors after which it is worth to try again: nobody is there yet. */
export function isUnreachable(error: unknown): boolean {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  // Whoever was there has died before it accepted.
  if (code === 'ECONNRESET') return syscall === 'connect';
  return unreachable.has(code);
}

const unreachable: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

export function addressOf(socket: Socket): string {
  const { remoteAddress = 'unknown', remotePort = 0 } = socket;
  return `${remoteAddress}:${remotePort}`;
}

function tlsOptions(files: TlsFiles): tls.SecureContextOptions & tls.CommonConnectionOptions {
  const { cert, key, ca } = files;
  if (ca === null) return { cert, key };
  return { cert, key, ca, requestCert: true, rejectUnauthorized: true };
}
