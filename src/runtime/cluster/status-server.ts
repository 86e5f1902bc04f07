// What a running job tells over HTTP: `/status` as JSON, `/metrics` for Prometheus. It only reads.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JobStatus } from '../../api/job.ts';
import { prometheusText } from '../../observe/prometheus.ts';
import { clusterError } from './cluster-errors.ts';
import type { Endpoint } from './sockets.ts';

export type StatusServer = { readonly port: number; readonly close: () => void };

/** What a host of the cluster is doing, for people and programs. */
export type HostStatus = {
  readonly name: string;
  readonly address: string;
  readonly workers: number;
  /** Workers that have loaded the pipeline. */
  readonly joined: number;
};

export type ClusterStatus = JobStatus & {
  readonly name: string;
  readonly hosts: readonly HostStatus[];
};

/** Rejects with `listen-failed`. */
export async function serveStatus(
  endpoint: Endpoint,
  status: () => ClusterStatus,
): Promise<StatusServer> {
  const server = createServer((request, response) => {
    const answer =
      request.url === '/status'
        ? { type: 'application/json', text: `${JSON.stringify(status())}\n` }
        : request.url === '/metrics'
          ? { type: 'text/plain; version=0.0.4', text: prometheusText(status()) }
          : null;
    response.writeHead(answer === null ? 404 : 200, {
      'content-type': answer?.type ?? 'text/plain',
    });
    response.end(answer?.text ?? 'there are /status and /metrics\n');
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(endpoint.port, endpoint.host, resolve);
  try {
    await promise;
  } catch (error) {
    const place = `${endpoint.host}:${endpoint.port}`;
    throw clusterError({
      code: 'listen-failed',
      message: `could not tell the status at ${place}: ${(error as Error).message}`,
      hint: 'is the port taken, or the address of another machine?',
      peer: place,
      cause: error,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
