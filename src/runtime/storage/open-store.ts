// From an address to a store: `file:///var/mizzle`, a path, or `s3://bucket/prefix?region=…`. Keys
// are never in an address: it names the environment variables that hold them.

import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { closestName } from '../../base/closest-name.ts';
import type { StreamError } from '../../base/stream-error.ts';
import { checkKeyPrefix, isBlobKey } from '../../control/storage/blob-key.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { DirectoryStore } from './directory-store.ts';
import type { RetryOptions } from './retry.ts';
import type { S3Credentials, S3Location } from './s3-store.ts';

export type StoreAddress =
  | { readonly kind: 'directory'; readonly folder: string }
  | { readonly kind: 's3'; readonly location: S3Location; readonly variables: S3Variables };

/** Names of environment variables. */
type S3Variables = {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

const parameters = [
  'endpoint',
  'region',
  'path-style',
  'access-key-env',
  'secret-key-env',
  'session-token-env',
];

export async function openStore(
  address: string,
  environment: Environment = process.env,
  retry?: RetryOptions,
): Promise<BlobStore> {
  const parsed = parseStoreAddress(address, environment);
  if (parsed.kind === 'directory') return new DirectoryStore(parsed.folder, retry);
  const credentials = credentialsOf(address, parsed.variables, environment);
  // Loaded when it is called for: most runs have no object store.
  const { S3Store } = await import('./s3-store.ts');
  return new S3Store(parsed.location, credentials, { retry });
}

/** Throws `store-url-invalid`. */
export function parseStoreAddress(address: string, environment: Environment = {}): StoreAddress {
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      if (address === '') throw invalid(address, 'it is empty');
      return { kind: 'directory', folder: address };
    case 'file':
      return { kind: 'directory', folder: fileFolder(address) };
    case 's3':
      return parseS3(address, environment);
    default:
      throw invalid(address, `"${scheme}" is not known`);
  }
}

/** As people may see it. */
export function redactedAddress(address: string): string {
  return address.replace(/\/\/[^/@?#]*@/, '//…@').replace(/\?.*$/s, '');
}

function fileFolder(address: string): string {
  try {
    return fileURLToPath(address);
  } catch {
    throw invalid(address, 'it is no path on this machine');
  }
}

function parseS3(address: string, environment: Environment): StoreAddress {
  const url = URL.parse(address);
  if (url === null) throw invalid(address, 'it is no URL');
  if (url.username !== '' || url.password !== '') {
    throw invalid(address, 'keys do not belong into an address: they end up in logs');
  }
  for (const name of url.searchParams.keys()) {
    if (parameters.includes(name)) continue;
    const closest = closestName(name, parameters);
    const meant = closest === null ? '' : `; did you mean "${closest}"?`;
    throw invalid(address, `the parameter "${name}" is not known${meant}`);
  }
  const bucket = url.hostname;
  if (!/^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/.test(bucket)) {
    throw invalid(address, `"${bucket}" is no name of a bucket`);
  }
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  if (path !== '' && !isBlobKey(path)) checkKeyPrefix(path);
  const get = (name: string): string | null => url.searchParams.get(name);
  const endpoint = endpointOf(
    address,
    get('endpoint') ?? environment['AWS_ENDPOINT_URL_S3'] ?? null,
  );
  const pathStyle =
    get('path-style') ?? (endpoint !== null || bucket.includes('.') ? 'true' : 'false');
  if (pathStyle !== 'true' && pathStyle !== 'false') {
    throw invalid(address, `path-style is "${pathStyle}", not true or false`);
  }
  const region =
    get('region') ?? environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? null;
  if (region === null && endpoint === null) throw invalid(address, 'it says no region');
  return {
    kind: 's3',
    location: {
      bucket,
      prefix: path === '' ? '' : `${path}/`,
      endpoint,
      region: region ?? 'us-east-1',
      pathStyle: pathStyle === 'true',
    },
    variables: {
      accessKey: get('access-key-env') ?? 'AWS_ACCESS_KEY_ID',
      secretKey: get('secret-key-env') ?? 'AWS_SECRET_ACCESS_KEY',
      sessionToken: get('session-token-env') ?? 'AWS_SESSION_TOKEN',
    },
  };
}

function endpointOf(address: string, endpoint: string | null): string | null {
  if (endpoint === null) return null;
  const url = URL.parse(endpoint);
  const isPlain =
    url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '';
  if (!isPlain || url.username !== '' || url.password !== '') {
    throw invalid(address, 'its endpoint is not like https://host:port');
  }
  return url.origin;
}

function credentialsOf(
  address: string,
  variables: S3Variables,
  environment: Environment,
): S3Credentials {
  const read = (name: string): string => {
    const value = environment[name] ?? '';
    if (value !== '') return value;
    throw storageError({
      code: 'store-denied',
      message: `could not open "${redactedAddress(address)}": the environment has no "${name}"`,
      hint: 'set it, or name another variable by access-key-env=… and secret-key-env=…',
      fields: { store: redactedAddress(address), variable: name },
    });
  };
  const token = environment[variables.sessionToken] ?? '';
  return {
    accessKeyId: read(variables.accessKey),
    secretAccessKey: read(variables.secretKey),
    sessionToken: token === '' ? null : token,
  };
}

function invalid(address: string, problem: string): StreamError {
  const shown = redactedAddress(address);
  return storageError({
    code: 'store-url-invalid',
    message: `could not use the store "${shown}": ${problem}`,
    hint: 'give a path, file:///path, or s3://bucket/prefix?region=…&endpoint=…',
    fields: { store: shown },
  });
}
