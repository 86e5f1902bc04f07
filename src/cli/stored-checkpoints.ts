// What commands that look into a store have in common: which store, pipeline and checkpoint.

import process from 'node:process';
import type { CheckpointManifest } from '../control/protocol/checkpoint-manifest.ts';
import { storageError } from '../control/storage/storage-errors.ts';
import type { BlobStore } from '../ports/blob-store.ts';
import { CheckpointStore, pipelinesIn } from '../runtime/storage/checkpoint-store.ts';
import { openStore } from '../runtime/storage/open-store.ts';
import type { CommandLine, OptionsConfig } from './options.ts';
import { UsageError } from './usage-error.ts';

export const storeOptions = {
  store: { type: 'string' },
  pipeline: { type: 'string' },
  json: { type: 'boolean' },
} as const satisfies OptionsConfig;

export const storeHelp = `\
STORE is a folder, or s3://BUCKET/PREFIX?region=REGION. More parameters of an S3 store, joined by &:
  endpoint=URL         a store that is not Amazon's: https://HOST:PORT
  path-style=true      the bucket in the path, not in the host's name (default with an endpoint)
  access-key-env=NAME  environment variable with the key (default AWS_ACCESS_KEY_ID)
  secret-key-env=NAME  environment variable with its secret (default AWS_SECRET_ACCESS_KEY)
`;

export async function storeOf({ values }: CommandLine): Promise<BlobStore> {
  const address = values['store'];
  if (typeof address === 'string') return openStore(address);
  throw new UsageError('--store is missing', 'give the folder or s3:// address of the store');
}

export async function pipelinesOf(
  store: BlobStore,
  { values }: CommandLine,
): Promise<readonly string[]> {
  const named = values['pipeline'];
  return typeof named === 'string' ? [named] : pipelinesIn(store);
}

export function onlyOne(store: BlobStore, pipelines: readonly string[]): string {
  const [pipeline] = pipelines;
  if (pipeline === undefined) throw checkpointNotFound(store, null, null);
  if (pipelines.length === 1) return pipeline;
  const names = pipelines.map((name) => `"${name}"`).join(', ');
  throw new UsageError('the store has several pipelines', `give --pipeline, one of ${names}`);
}

export function checkpointsOf(store: BlobStore, pipeline: string): CheckpointStore {
  return new CheckpointStore(store, {
    pipeline,
    nowMs: Date.now,
    warn: (text, { file }) => process.stderr.write(`warning: "${file}": ${text}\n`),
  });
}

/** The numbered one; null: the newest that is whole. */
export async function checkpointNumbered(
  store: BlobStore,
  pipeline: string,
  number: number | null,
): Promise<CheckpointManifest> {
  const checkpoints = checkpointsOf(store, pipeline);
  const manifest =
    number === null
      ? await checkpoints.latest()
      : ((await checkpoints.list()).find(({ sequence }) => sequence === number) ?? null);
  if (manifest === null) throw checkpointNotFound(store, pipeline, number);
  return manifest;
}

export function checkpointNumber(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`could not use "${text}" as a number`, 'see `mizzle checkpoints list`');
}

export function checkpointNotFound(
  store: BlobStore,
  pipeline: string | null,
  number: number | null,
): Error {
  const which = number === null ? 'a checkpoint' : `checkpoint ${number}`;
  const owner = pipeline === null ? '' : ` of "${pipeline}"`;
  return storageError({
    code: 'checkpoint-not-found',
    message: `could not find ${which}${owner} in "${store.description}"`,
    hint: 'see `mizzle checkpoints list`; is it the right store?',
    fields: { store: store.description, pipeline, number },
  });
}
