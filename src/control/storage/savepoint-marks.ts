// Savepoints besides their manifests: a mark keeps one, also should its manifest be damaged, and a
// second mark says that somebody has deleted it. A manifest is never changed or taken away for
// that: it may be the last of the chain, which is a fence. Retention does the rest.

import type { PipelineKeys } from './pipeline-keys.ts';
import {
  deletedSavepointKey,
  savepointKey,
  sequenceOfDeletedSavepoint,
  sequenceOfSavepoint,
} from './pipeline-keys.ts';
import type { StoreScript } from './store-script.ts';
import { deleteBlobs, listBlobs, putBlob } from './store-script.ts';

export type SavepointMarks = {
  /** Numbers of manifests that are kept. */
  readonly kept: ReadonlySet<number>;
  /** Those that somebody has deleted: they are ordinary checkpoints. */
  readonly deleted: ReadonlySet<number>;
};

/** What is wrong with a savepoint's name; null: nothing. Numbers alone mean checkpoints. */
export function savepointNameProblem(name: string): string | null {
  if (/^\d*$/.test(name)) return 'a name must have more than digits';
  if (name.length > 100) return 'a name has at most 100 characters';
  return /^[\w.-]+$/.test(name) ? null : 'a name has letters, digits, ".", "_" and "-"';
}

export function* readSavepointMarks(keys: PipelineKeys): StoreScript<SavepointMarks> {
  const kept = new Set<number>();
  const deleted = new Set<number>();
  for (const { key } of yield* listBlobs(keys.savepoints)) {
    const sequence = sequenceOfSavepoint(key);
    const gone = sequenceOfDeletedSavepoint(key);
    if (sequence !== null) kept.add(sequence);
    if (gone !== null) deleted.add(gone);
  }
  return { kept: kept.difference(deleted), deleted };
}

/** From now on it is a checkpoint like others. Idempotent. */
export function* deleteSavepoint(keys: PipelineKeys, sequence: number): StoreScript<void> {
  yield* putBlob(deletedSavepointKey(keys, sequence), new TextEncoder().encode('{}\n'));
}

/** The marks of what is gone altogether; the one that says so is the last to go. */
export function* forgetSavepoints(
  keys: PipelineKeys,
  sequences: readonly number[],
): StoreScript<void> {
  yield* deleteBlobs(sequences.map((sequence) => savepointKey(keys, sequence)));
  yield* deleteBlobs(sequences.map((sequence) => deletedSavepointKey(keys, sequence)));
}
