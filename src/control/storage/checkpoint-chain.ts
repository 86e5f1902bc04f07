// The chain of a pipeline's manifests. Every entry is created under the next free number, so that
// of two drivers one loses; and the first entry of a driver marks its term, so that from then on
// every driver before it loses. Whoever reads takes the newest checkpoint that is whole.

import { StreamError } from '../../base/stream-error.ts';
import { storeRacesMax } from '../limits.ts';
import type {
  ChainEntry,
  CheckpointContent,
  CheckpointManifest,
} from '../protocol/checkpoint-manifest.ts';
import { manifestFormat } from '../protocol/checkpoint-manifest.ts';
import type { DecodedEntry } from './manifest-codec.ts';
import { decodeEntry, encodeEntry } from './manifest-codec.ts';
import type { PipelineKeys } from './pipeline-keys.ts';
import { manifestKey, savepointKey, sequenceOfManifest } from './pipeline-keys.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, getBlob, listBlobs, putBlob } from './store-script.ts';

/** The last entry that its driver knows: the one it has written. */
export type ChainHead = {
  readonly term: number;
  readonly sequence: number;
  readonly checksum: string;
};

/** What was found and not used, and why. */
export type PassedOver = { readonly key: string; readonly problem: string };

export type LatestCheckpoint = {
  readonly checkpoint: CheckpointManifest | null;
  readonly passedOver: readonly PassedOver[];
};

/** Marks a term: whoever has a lesser one cannot commit any more. Throws `fenced`. */
export function* openTerm(
  keys: PipelineKeys,
  driver: { readonly term: number; readonly holder: string; readonly nowMs: number },
): StoreScript<ChainHead> {
  const { term, holder, nowMs } = driver;
  for (let races = 0; races < storeRacesMax; races++) {
    const last = yield* lastEntry(keys);
    const found = last.decoded;
    if (found !== null && found.entry.term >= term) {
      const { entry, checksum } = found;
      const own = entry.term === term && entry.kind === 'term' && entry.holder === holder;
      if (own) return { term, sequence: entry.sequence, checksum };
      throw fencedBy(keys, term, entry);
    }
    const sequence = last.sequence + 1;
    const checksum = found?.entry.sequence === last.sequence ? found.checksum : null;
    const mark = encodeEntry({
      format: manifestFormat,
      kind: 'term',
      pipeline: keys.pipeline,
      sequence,
      previous: last.sequence === 0 ? null : { sequence: last.sequence, checksum },
      term,
      holder,
      createdMs: Math.round(nowMs),
    });
    if (yield* createBlob(manifestKey(keys, sequence), mark.bytes)) {
      return { term, sequence, checksum: mark.checksum };
    }
  }
  throw tooManyRaces(keys);
}

/** Adds a checkpoint behind the driver's own last entry. Throws `fenced`. */
export function* commitCheckpoint(
  keys: PipelineKeys,
  head: ChainHead,
  commit: { readonly content: CheckpointContent; readonly nowMs: number },
): StoreScript<{ readonly manifest: CheckpointManifest; readonly head: ChainHead }> {
  const { term } = head;
  let previous: { readonly sequence: number; readonly checksum: string } = head;
  for (let races = 0; races < storeRacesMax; races++) {
    const manifest: CheckpointManifest = {
      ...commit.content,
      format: manifestFormat,
      kind: 'checkpoint',
      pipeline: keys.pipeline,
      sequence: previous.sequence + 1,
      previous: { sequence: previous.sequence, checksum: previous.checksum },
      term,
      createdMs: Math.round(commit.nowMs),
    };
    const { sequence } = manifest;
    const { bytes, checksum } = encodeEntry(manifest);
    const key = manifestKey(keys, sequence);
    const committed = { manifest, head: { term, sequence, checksum } };
    // Before the manifest, so that no damage to a savepoint's manifest can make it look useless.
    if (manifest.savepoint !== null) yield* putBlob(savepointKey(keys, sequence), bytes);
    if (yield* createBlob(key, bytes)) return committed;
    const blob = yield* getBlob(key);
    // Retention takes only what has newer entries behind it, which we have not made.
    if (blob === null) throw vanished(keys, term, key);
    const found = decodeEntry(key, blob.bytes);
    // A store may lose the answer to what it has done.
    if (found.checksum === checksum) return committed;
    if (found.entry.term >= term) throw fencedBy(keys, term, found.entry);
    // Only behind a mark that could not be read can one of a lesser term get in between.
    previous = { sequence, checksum: found.checksum };
  }
  throw tooManyRaces(keys);
}

/**
 * The newest checkpoint that is whole: its manifest matches its checksum, and its state objects are
 * there with their sizes. Their content is checked by who reads it, and who finds damage asks again
 * with `below`. Throws `checkpoint-damaged` if there are checkpoints and none is whole.
 */
export function* latestCheckpoint(
  keys: PipelineKeys,
  below: number = Infinity,
): StoreScript<LatestCheckpoint> {
  const passedOver: PassedOver[] = [];
  let sizes: ReadonlyMap<string, number> | null = null;
  for (const { key, sequence } of (yield* chainFiles(keys)).toReversed()) {
    if (sequence >= below) continue;
    const found = yield* readEntry(keys, key);
    if ('problem' in found) {
      passedOver.push(found);
      continue;
    }
    const { entry } = found;
    if (entry.kind === 'term') continue;
    if (entry.state.length > 0) sizes ??= yield* stateSizes(keys);
    const problem = missingState(entry, sizes ?? new Map());
    if (problem === null) return { checkpoint: entry, passedOver };
    passedOver.push({ key, problem });
  }
  if (passedOver.length > 0) throw noneWhole(keys, passedOver);
  return { checkpoint: null, passedOver };
}

/** All entries, oldest first, with what cannot be read. */
export function* readChain(
  keys: PipelineKeys,
): StoreScript<readonly (({ readonly key: string } & DecodedEntry) | PassedOver)[]> {
  const entries: (({ readonly key: string } & DecodedEntry) | PassedOver)[] = [];
  for (const { key } of yield* chainFiles(keys)) {
    const found = yield* readEntry(keys, key);
    entries.push('problem' in found ? found : { key, ...found });
  }
  return entries;
}

/** Sizes of all state objects, by their keys below the pipeline's folder. */
export function* stateSizes(keys: PipelineKeys): StoreScript<ReadonlyMap<string, number>> {
  const entries = yield* listBlobs(keys.state);
  return new Map(entries.map(({ key, bytes }) => [key.slice(keys.folder.length), bytes]));
}

/** The first state object that is not there as the manifest says, or null. */
export function missingState(
  { state }: CheckpointManifest,
  sizes: ReadonlyMap<string, number>,
): string | null {
  for (const { objects } of state) {
    for (const { key, bytes } of objects) {
      const found = sizes.get(key);
      if (found === undefined) return `its state object "${key}" is missing`;
      if (found !== bytes) return `its state object "${key}" has ${found} bytes, not ${bytes}`;
    }
  }
  return null;
}

type ChainFile = { readonly key: string; readonly sequence: number };

/** Ascending. */
function* chainFiles(keys: PipelineKeys): StoreScript<readonly ChainFile[]> {
  return (yield* listBlobs(keys.manifests)).flatMap(({ key }) => {
    const sequence = sequenceOfManifest(key);
    return sequence === null ? [] : [{ key, sequence }];
  });
}

/** The greatest number in use, and the newest entry that can be read. */
function* lastEntry(
  keys: PipelineKeys,
): StoreScript<{ readonly sequence: number; readonly decoded: DecodedEntry | null }> {
  const files = yield* chainFiles(keys);
  const sequence = files.at(-1)?.sequence ?? 0;
  for (const { key } of files.toReversed()) {
    const found = yield* readEntry(keys, key);
    if (!('problem' in found)) return { sequence, decoded: found };
  }
  return { sequence, decoded: null };
}

/** Throws what is not damage: a format that only another release reads must not be passed over. */
function* readEntry(keys: PipelineKeys, key: string): StoreScript<DecodedEntry | PassedOver> {
  const blob = yield* getBlob(key);
  if (blob === null) return { key, problem: 'it has been deleted meanwhile' };
  try {
    const decoded = decodeEntry(key, blob.bytes);
    return placeProblem(keys, key, decoded.entry) ?? decoded;
  } catch (error) {
    if (!(error instanceof StreamError) || error.code !== 'checkpoint-damaged') throw error;
    return { key, problem: error.message };
  }
}

function placeProblem(keys: PipelineKeys, key: string, entry: ChainEntry): PassedOver | null {
  if (entry.pipeline !== keys.pipeline) {
    return { key, problem: `it belongs to the pipeline "${entry.pipeline}"` };
  }
  if (entry.sequence !== sequenceOfManifest(key)) {
    return { key, problem: `it says that its number is ${entry.sequence}` };
  }
  return null;
}

function fencedBy({ pipeline }: PipelineKeys, term: number, entry: ChainEntry): StreamError {
  return storageError({
    code: 'fenced',
    message:
      `could not write a checkpoint of "${pipeline}" in term ${term}: entry ` +
      `${entry.sequence} was written in term ${entry.term}`,
    hint: 'another driver has taken over; this one must stop',
    fields: { pipeline, term, byTerm: entry.term, sequence: entry.sequence },
  });
}

function vanished({ pipeline }: PipelineKeys, term: number, key: string): StreamError {
  return storageError({
    code: 'fenced',
    message: `could not write a checkpoint of "${pipeline}": "${key}" came and went`,
    hint: 'another driver has taken over; this one must stop',
    fields: { pipeline, term, key },
  });
}

function tooManyRaces({ pipeline }: PipelineKeys): StreamError {
  return storageError({
    code: 'store-failed',
    message: `could not add to the checkpoints of "${pipeline}": lost ${storeRacesMax} races`,
    hint: 'do several drivers run the same pipeline over the same store?',
    fields: { pipeline },
  });
}

function noneWhole({ pipeline }: PipelineKeys, passedOver: readonly PassedOver[]): StreamError {
  const newest = passedOver[0] ?? { key: '', problem: '' };
  return storageError({
    code: 'checkpoint-damaged',
    message:
      `could not find a whole checkpoint of "${pipeline}": ` + `"${newest.key}": ${newest.problem}`,
    hint: 'restore the files from a backup, or name an empty place to begin anew',
    fields: { pipeline, damaged: passedOver.length },
  });
}
