// What may be deleted of a pipeline's checkpoints. No store fences a deletion, so the rules must be
// safe in the hands of a driver that was replaced long ago and does not know it: it keeps what its
// list of manifests names, takes no object of a newer term, and nothing young.

import type { BlobEntry } from '../../ports/blob-store.ts';
import { deletionGraceMs } from '../limits.ts';
import type { CheckpointManifest } from '../protocol/checkpoint-manifest.ts';
import type { PassedOver } from './checkpoint-chain.ts';
import { readChain } from './checkpoint-chain.ts';
import type { DecodedEntry } from './manifest-codec.ts';
import type { PipelineKeys } from './pipeline-keys.ts';
import { partsOfStateKey, sequenceOfManifest } from './pipeline-keys.ts';
import type { SavepointMarks } from './savepoint-marks.ts';
import { forgetSavepoints, readSavepointMarks } from './savepoint-marks.ts';
import type { StoreScript } from './store-script.ts';
import { deleteBlobs, listBlobs } from './store-script.ts';

export type RetainOptions = {
  /** Of the driver that deletes. */
  readonly term: number;
  /** Checkpoints to keep; savepoints are kept anyway. At least 1. */
  readonly keep: number;
  readonly nowMs: number;
  /** Default `deletionGraceMs`. */
  readonly graceMs?: number;
};

export type Retained = {
  readonly deletedManifests: number;
  readonly deletedObjects: number;
  /**
   * The micro-batch of the oldest checkpoint that a restart could fall back to: what replay from
   * there needs (range log, blocks) must stay. Null: no checkpoint yet.
   */
  readonly oldestBatch: number | null;
  /** Manifests that hide what they name: as long as they lie there, no state is deleted. */
  readonly unreadable: readonly PassedOver[];
};

export function* retainCheckpoints(
  keys: PipelineKeys,
  options: RetainOptions,
): StoreScript<Retained> {
  const chain = yield* readChain(keys);
  const objects = yield* listBlobs(keys.state);
  const marks = yield* readSavepointMarks(keys);
  const { kept, doomed, oldestBatch } = dividedChain(chain, options.keep, marks);
  // Manifests first: one whose objects are half gone would look like damage.
  yield* deleteBlobs(doomed);
  const left = new Set(chain.map(({ key }) => key)).difference(new Set(doomed));
  const leftSequences = new Set([...left].map(sequenceOfManifest));
  const gone = [...marks.deleted].filter((sequence) => !leftSequences.has(sequence));
  yield* forgetSavepoints(keys, gone);
  const unreadable = chain.filter((found) => 'problem' in found && !doomed.includes(found.key));
  const useless = unreadable.length > 0 ? [] : uselessObjects(keys, { objects, kept }, options);
  yield* deleteBlobs(useless);
  const deleted = { deletedManifests: doomed.length, deletedObjects: useless.length };
  return { ...deleted, oldestBatch, unreadable: unreadable as readonly PassedOver[] };
}

type Found = ({ readonly key: string } & DecodedEntry) | PassedOver;

/**
 * What is behind the oldest kept checkpoint goes, but for savepoints. That never is the last entry,
 * which is the fence.
 */
function dividedChain(
  chain: readonly Found[],
  keep: number,
  marks: SavepointMarks,
): {
  readonly kept: readonly CheckpointManifest[];
  readonly doomed: readonly string[];
  readonly oldestBatch: number | null;
} {
  const checkpoints = chain.flatMap((found) =>
    'entry' in found && found.entry.kind === 'checkpoint' ? [found.entry] : [],
  );
  const newest = checkpoints.slice(-Math.max(1, keep));
  const oldest = newest[0];
  const isSavepoint = ({ savepoint, sequence }: CheckpointManifest): boolean =>
    savepoint !== null && !marks.deleted.has(sequence);
  const kept = checkpoints.filter((manifest) => isSavepoint(manifest) || newest.includes(manifest));
  if (oldest === undefined) return { kept, doomed: [], oldestBatch: null };
  const from = chain.findIndex((found) => 'entry' in found && found.entry === oldest);
  const doomed = chain.slice(0, from).filter((found) => {
    if ('problem' in found) return !marks.kept.has(sequenceOfManifest(found.key) ?? 0);
    return found.entry.kind === 'term' || !isSavepoint(found.entry);
  });
  const oldestBatch = Math.min(...newest.map(({ batch }) => batch));
  return { kept, doomed: doomed.map(({ key }) => key), oldestBatch };
}

function uselessObjects(
  keys: PipelineKeys,
  found: {
    readonly objects: readonly BlobEntry[];
    readonly kept: readonly CheckpointManifest[];
  },
  options: RetainOptions,
): readonly string[] {
  const { term, nowMs, graceMs = deletionGraceMs } = options;
  const named = new Set(
    found.kept.flatMap(({ state }) =>
      state.flatMap(({ objects }) => objects.map(({ key }) => `${keys.folder}${key}`)),
    ),
  );
  const newestBatch = found.kept.at(-1)?.batch ?? -1;
  return found.objects
    .filter(({ key, modifiedMs }) => {
      if (named.has(key) || nowMs - modifiedMs < graceMs) return false;
      const parts = partsOfStateKey(key.slice(keys.folder.length));
      if (parts === null || parts.term > term) return false;
      // Of our own term, a checkpoint may still be under way that will name it.
      return parts.term < term || parts.batch <= newestBatch;
    })
    .map(({ key }) => key);
}
