// The range log in a store of blobs: each writer's appends are objects with rising numbers, each
// created only if its number is free. A driver seals a writer by taking the next number itself:
// whatever the writer tries from then on finds it taken.

import type { LoggedRange } from '../../ports/range-log.ts';
import type { BlobEntry } from '../../ports/blob-store.ts';
import { sealKeptMs, storeRacesMax } from '../limits.ts';
import { keyPart, numberPart } from './blob-key.ts';
import { mergeRanges } from './merge-ranges.ts';
import type { RangeFrame } from './range-frame.ts';
import { decodeFrame, encodeFrame, sameRange } from './range-frame.ts';
import { sameBytes } from './same-bytes.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, deleteBlobs, getBlob, getBlobs, listBlobs } from './store-script.ts';

/** `log` is the log's folder, ending in `/`. */
export type WriterPlace = { readonly log: string; readonly writer: string };

/** A writer's first step: its name is new. Throws `fenced`. */
export function* openObjects(place: WriterPlace): StoreScript<void> {
  if ((yield* listBlobs(writerFolder(place))).length > 0) throw fenced(place);
}

/** Makes frame `number` of a writer durable. Throws `fenced`. May be repeated with equal bytes. */
export function* appendObject(
  place: WriterPlace,
  number: number,
  bytes: Uint8Array,
): StoreScript<void> {
  const key = objectKey(place, number);
  if (yield* createBlob(key, bytes)) return;
  const blob = yield* getBlob(key);
  if (blob === null || !sameBytes(blob.bytes, bytes)) throw fenced(place);
}

/** After it, no append of the writer succeeds that has not yet. */
export function* sealObjects(place: WriterPlace): StoreScript<void> {
  const entries = yield* listBlobs(writerFolder(place));
  let last = entries.at(-1)?.key ?? null;
  for (let races = 0; races < storeRacesMax; races++) {
    if (last !== null) {
      const blob = yield* getBlob(last);
      if (blob !== null && decodeFrame(blob.bytes)?.frame.kind === 'seal') return;
    }
    const next = objectKey(place, last === null ? 0 : numberOf(last) + 1);
    // The writer may come first once more; what it has written then is part of the log.
    if (yield* createBlob(next, encodeFrame({ kind: 'seal' }))) return;
    last = next;
  }
  throw storageError({
    code: 'store-failed',
    message: `could not seal the log of "${place.writer}": it was faster ${storeRacesMax} times`,
    hint: 'can this process reach the store as fast as the workers?',
    fields: { writer: place.writer },
  });
}

/** Throws `range-log-damaged` or `range-log-conflict`. */
export function* readObjects(log: string, afterBatch: number): StoreScript<readonly LoggedRange[]> {
  const records: LoggedRange[] = [];
  for (const entries of (yield* writersOf(log)).values()) {
    const keys = entries.map(({ key }) => key);
    const wanted = keys.slice(yield* firstBeyond(keys, afterBatch));
    const blobs = yield* getBlobs(wanted);
    wanted.forEach((key, index) => {
      const gap = index > 0 && numberOf(key) !== numberOf(wanted[index - 1] as string) + 1;
      const blob = blobs[index] ?? null;
      const frame = blob === null ? null : (decodeFrame(blob.bytes)?.frame ?? null);
      if (gap || frame === null) throw damaged(key, gap ? 'the one before is missing' : 'damaged');
      if (frame.kind === 'records') records.push(...frame.records);
    });
  }
  return mergeRanges(records, afterBatch, sameRange);
}

/**
 * Deletes what holds no record beyond the micro-batch. The last object of a writer stays, for it
 * tells a driver which number to seal; a seal stays until its writer cannot matter any more.
 */
export function* releaseObjects(
  log: string,
  throughBatch: number,
  nowMs: number,
): StoreScript<void> {
  for (const entries of (yield* writersOf(log)).values()) {
    const keys = entries.map(({ key }) => key);
    const last = entries.length - 1;
    const from = yield* firstBeyond(keys, throughBatch);
    yield* deleteBlobs(keys.slice(0, Math.min(from, last)));
    const { key, modifiedMs } = entries[last] as BlobEntry;
    if (from < last || nowMs - modifiedMs < sealKeptMs) continue;
    const blob = yield* getBlob(key);
    const isSeal = blob !== null && decodeFrame(blob.bytes)?.frame.kind === 'seal';
    if (isSeal) yield* deleteBlobs([key]);
  }
}

/** Each writer's objects, ascending; at least one. */
function* writersOf(log: string): StoreScript<ReadonlyMap<string, readonly BlobEntry[]>> {
  const writers = new Map<string, BlobEntry[]>();
  for (const entry of yield* listBlobs(log)) {
    const writer = entry.key.slice(0, entry.key.lastIndexOf('/'));
    const entries = writers.get(writer) ?? [];
    entries.push(entry);
    writers.set(writer, entries);
  }
  return writers;
}

/**
 * The first object that may hold a record beyond the micro-batch. Every frame says how far its
 * writer had come, which only rises, so a few of many are read.
 */
function* firstBeyond(keys: readonly string[], batch: number): StoreScript<number> {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const blob = yield* getBlob(keys[middle] as string);
    const frame: RangeFrame | null =
      blob === null ? null : (decodeFrame(blob.bytes)?.frame ?? null);
    // Released meanwhile, by another driver: what was before it, too.
    const isBehind = blob === null || (frame?.kind === 'records' && frame.throughBatch <= batch);
    if (isBehind) low = middle + 1;
    else high = middle;
  }
  return low;
}

function writerFolder({ log, writer }: WriterPlace): string {
  return `${log}${keyPart(writer)}/`;
}

function objectKey(place: WriterPlace, number: number): string {
  return `${writerFolder(place)}${numberPart(number)}`;
}

function numberOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1));
}

function fenced({ writer }: WriterPlace): Error {
  return storageError({
    code: 'fenced',
    message: `could not append to the range log as "${writer}": it is sealed, or somebody else's`,
    hint: 'this worker was declared dead; it must stop',
    fields: { writer },
  });
}

function damaged(key: string, problem: string): Error {
  return storageError({
    code: 'range-log-damaged',
    message: `could not read the range log at "${key}": ${problem}`,
    hint: 'the ranges since the last checkpoint are not known: restore the file from a backup',
    fields: { key },
  });
}
