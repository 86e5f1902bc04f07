// `mizzle status`: what a running cluster's driver says of its job.

import process from 'node:process';
import { StreamError } from '../../base/stream-error.ts';
import { statusLines } from '../../observe/status-text.ts';
import type { ClusterStatus } from '../../runtime/cluster/status-server.ts';
import { endpointOption } from '../cluster-options.ts';
import { parseOptions } from '../options.ts';

const help = `mizzle status --connect HOST:PORT [--json]

Shows what a running job does: state, records, micro-batches, watermark, lag, load, hosts. HOST:PORT
is what \`mizzle driver --status HOST:PORT\` was given; Prometheus finds the same at /metrics there.

Options:
  --connect HOST:PORT  where the driver tells its status
  --json               one JSON object on a line
`;

export const statusCommand = {
  summary: "shows a running cluster's job",
  help,
  async run(argv: readonly string[]): Promise<number> {
    const { values } = parseOptions('status', argv, {
      connect: { type: 'string' },
      json: { type: 'boolean' },
    });
    const { host, port } = endpointOption('connect', values['connect']);
    const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const status = await readStatus(place);
    if (values['json'] === true) {
      process.stdout.write(`${JSON.stringify(status)}\n`);
      return 0;
    }
    const hosts = status.hosts.map(
      ({ name, address, workers, joined }) =>
        `host        ${name} at ${address}, ${joined} of ${workers} workers`,
    );
    process.stdout.write(`pipeline ${status.name}\n`);
    process.stdout.write(`${[...statusLines(status), ...hosts].join('\n')}\n`);
    return 0;
  },
};

async function readStatus(place: string): Promise<ClusterStatus> {
  try {
    const response = await fetch(`http://${place}/status`, { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    return (await response.json()) as ClusterStatus;
  } catch (error) {
    throw new StreamError({
      code: 'status-unavailable',
      message: `could not read the status at ${place}: ${reason(error)}`,
      hint: 'does the job run, with `--status` at this address?',
      fields: { address: place },
      cause: error,
    });
  }
}

function reason(error: unknown): string {
  const { message, cause } = error as { readonly message: string; readonly cause?: unknown };
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
