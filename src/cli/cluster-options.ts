// Options that the commands of a cluster share: addresses, security, patience, logs.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parseDurationMs } from '../base/duration.ts';
import { StreamError } from '../base/stream-error.ts';
import type { Log } from '../runtime/cluster/log.ts';
import { logTo } from '../runtime/cluster/log.ts';
import type { Security, TlsFiles } from '../runtime/cluster/security.ts';
import type { Endpoint } from '../runtime/cluster/sockets.ts';
import type { OptionsConfig } from './options.ts';
import { UsageError } from './usage-error.ts';

type Values = Readonly<Record<string, string | boolean | undefined>>;

export const clusterOptions: OptionsConfig = {
  'secret-env': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-ca': { type: 'string' },
  insecure: { type: 'boolean' },
  timeout: { type: 'string' },
  log: { type: 'string' },
};

export const clusterHelp = `Security (the same for driver and workers):
  --secret-env NAME    environment variable that holds the cluster's secret; it is proved on both
                       sides and never sent
  --tls-cert FILE      certificate, PEM; with --tls-key all connections are encrypted
  --tls-key FILE       its private key, PEM
  --tls-ca FILE        authority that must have signed the certificates of both sides, PEM
  --insecure           listen beyond this machine without TLS or a secret: whoever connects can
                       run code as you

More:
  --timeout TIME       a peer that is silent or stops reading for this long is lost (default 10s)
  --log FORMAT         text or json, on standard error (default text)
`;

export function securityOption(values: Values): Security {
  return { secret: secretOption(values['secret-env']), tls: tlsOption(values) };
}

export function timeoutOption(value: string | boolean | undefined): number {
  return durationOption('timeout', value) ?? 10_000;
}

export function durationOption(
  name: string,
  value: string | boolean | undefined,
): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = parseDurationMs(/^\d+$/.test(value) ? Number(value) : value);
  if (ms !== null && ms > 0) return ms;
  throw new UsageError(`could not use "${value}" as --${name}`, "give a time, such as '10s'");
}

export function logOption(value: string | boolean | undefined): Log {
  if (value === undefined || value === 'text') return logTo('text');
  if (value === 'json') return logTo('json');
  throw new UsageError(`could not use "${String(value)}" as --log`, 'give text or json');
}

/** `HOST:PORT`; an IPv6 address in brackets. */
export function endpointOption(name: string, value: string | boolean | undefined): Endpoint {
  const match = typeof value === 'string' ? /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(value) : null;
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    const problem = value === undefined ? 'is missing' : `"${String(value)}" is no address`;
    throw new UsageError(`--${name} ${problem}`, 'give HOST:PORT, such as 127.0.0.1:4100');
  }
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

/** One or several, separated by commas. */
export function endpointsOption(
  name: string,
  value: string | boolean | undefined,
): readonly Endpoint[] {
  if (typeof value !== 'string') return [endpointOption(name, value)];
  return value.split(',').map((one) => endpointOption(name, one.trim()));
}

function secretOption(name: string | boolean | undefined): string | null {
  if (typeof name !== 'string') return null;
  const secret = process.env[name] ?? '';
  if (secret !== '') return secret;
  throw new UsageError(
    `the environment has no variable "${name}" with a secret`,
    `set it to the same long random text everywhere: ${name}=$(openssl rand -hex 32)`,
  );
}

function tlsOption(values: Values): TlsFiles | null {
  const { 'tls-cert': cert, 'tls-key': key, 'tls-ca': ca } = values;
  if (cert === undefined && key === undefined && ca === undefined) return null;
  if (typeof cert !== 'string' || typeof key !== 'string') {
    throw new UsageError(
      'TLS needs a certificate and its key',
      'give --tls-cert and --tls-key, workers too: other hosts connect to them',
    );
  }
  const authority = typeof ca === 'string' ? readPem('tls-ca', ca) : null;
  return { cert: readPem('tls-cert', cert), key: readPem('tls-key', key), ca: authority };
}

function readPem(name: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StreamError({
      code: 'file-not-found',
      message: `could not read "${path}", which --${name} names`,
      hint: 'give the path of a PEM file that this user may read',
      fields: { path },
      cause: error,
    });
  }
  if (text.includes('-----BEGIN ')) return text;
  throw new UsageError(`"${path}", which --${name} names, is no PEM file`, 'convert it to PEM');
}
