// The range log in a store of blobs: each writer's appends are objects with rising numbers, each
// created only if its number is free. A driver seals a writer by taking the next number itself:
// whatever the writer tries from then on finds it taken.

import type { LoggedRange } from '../../ports/range-log.ts';
import type { BlobEntry } from '../../ports/blob-store.ts';
import { sealKeptMs } from '../limits.ts';
import { keyPart, nameOfKeyPart, numberPart } from './blob-key.ts';
import { mergeRanges } from './merge-ranges.ts';
import type { RangeFrame } from './range-frame.ts';
import { decodeFrame, encodeFrame, sameRange } from './range-frame.ts';
import { sameBytes } from './same-bytes.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, deleteBlobs, getBlob, getBlobs, listBlobs } from './store-script.ts';

/** `log` is the log's folder, ending in `/`. */
export type WriterPlace = { readonly log: string; readonly writer: string };

/** `term`: of the driver by whose order the writer begins. */
export type OpeningWriter = WriterPlace & { readonly term: number };

/**
 * A writer's first step: its name is new, and it takes its first number with an empty frame.
 * Whoever fences looks for writers afterwards: this one is seen, or sees the fence.
 * Throws `fenced`.
 */
export function* openObjects(place: OpeningWriter): StoreScript<void> {
  const opening = encodeFrame({ kind: 'records', throughBatch: -1, records: [] });
  if ((yield* listBlobs(writerFolder(place))).length > 0) throw fenced(place);
  yield* appendObject(place, 0, opening);
  const fences = yield* listBlobs(fencesFolder(place.log));
  if (fences.some(({ key }) => numberOf(key) > place.term)) throw fenced(place);
}

/** No writer of a lesser term that is not there yet begins any more. */
export function* fenceWriters(log: string, term: number): StoreScript<void> {
  yield* createBlob(`${fencesFolder(log)}${numberPart(term)}`, encodeFrame({ kind: 'seal' }));
}

function fencesFolder(log: string): string {
  return `${log}terms/`;
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

/**
 * After it, no append of the writer succeeds that has not yet. Usually it takes the one number
 * after the last. A writer that is alive may be faster; so after each lost race the seal goes twice
 * as far ahead, as a barrier, and the numbers below it are taken one by one, downwards, until one
 * is the writer's. A driver that dies in between leaves a gap, which the next one's seal fills.
 */
export function* sealObjects(place: WriterPlace): StoreScript<void> {
  const seal = encodeFrame({ kind: 'seal' });
  const numbers = (yield* listBlobs(writerFolder(place))).map(({ key }) => numberOf(key));
  const last = numbers.at(-1) ?? null;
  let barrier = last !== null && (yield* isSeal(objectKey(place, last))) ? last : null;
  // Up to here numbers are the writer's, or were and are released.
  let floor = barrier === null ? (last ?? -1) : (numbers[0] as number) - 1;
  for (let ahead = 1; barrier === null; ahead *= 2) {
    const number: number = floor + ahead;
    const key = objectKey(place, number);
    if ((yield* createBlob(key, seal)) || (yield* isSeal(key))) barrier = number;
    else floor = number;
  }
  for (let number = barrier - 1; number > floor; number--) {
    const key = objectKey(place, number);
    if (!(yield* createBlob(key, seal)) && !(yield* isSeal(key))) return;
  }
}

function* isSeal(key: string): StoreScript<boolean> {
  const blob = yield* getBlob(key);
  return blob !== null && decodeFrame(blob.bytes)?.frame.kind === 'seal';
}

export function* listWriters(log: string): StoreScript<readonly string[]> {
  const folders = [...(yield* writersOf(log)).keys()];
  const names = folders.map((folder) => nameOfKeyPart(folder.slice(log.length)));
  return names.filter((name) => name !== null);
}

/**
 * Throws `range-log-damaged` or `range-log-conflict`. `spent`: writers of whom a read before found
 * nothing but the seal, which is then the last word, and not worth another request each time.
 */
export function* readObjects(
  log: string,
  afterBatch: number,
  spent: Set<string>,
): StoreScript<readonly LoggedRange[]> {
  const records: LoggedRange[] = [];
  const writers = yield* writersOf(log);
  for (const writer of spent) if (!writers.has(writer)) spent.delete(writer);
  for (const [writer, entries] of writers) {
    if (spent.has(writer)) continue;
    const keys = entries.map(({ key }) => key);
    const wanted = keys.slice(yield* firstBeyond(keys, afterBatch));
    const blobs = yield* getBlobs(wanted);
    const frames = blobs.map((blob) => (blob === null ? null : decodeFrame(blob.bytes)?.frame));
    wanted.forEach((key, index) => {
      const frame = frames[index] ?? null;
      if (frame === null) throw damaged(key, 'it is damaged');
      // A gap is a seal that was not finished: nothing but seals may be above it.
      if (frame.kind === 'seal' && keys.length === 1) spent.add(writer);
      if (frame.kind === 'seal') return;
      if (isGap(wanted, index)) throw damaged(key, 'the one before is missing');
      records.push(...frame.records);
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
  by: { readonly nowMs: number; readonly spent: ReadonlySet<string> },
): StoreScript<void> {
  for (const [writer, entries] of yield* writersOf(log)) {
    const keys = entries.map(({ key }) => key);
    // A seal that was not finished: the writer's last number must still be seen.
    if (keys.some((_, index) => isGap(keys, index))) continue;
    const last = entries.length - 1;
    const from = by.spent.has(writer) ? last : yield* firstBeyond(keys, throughBatch);
    yield* deleteBlobs(keys.slice(0, Math.min(from, last)));
    const { key, modifiedMs } = entries[last] as BlobEntry;
    if (from < last || by.nowMs - modifiedMs < sealKeptMs) continue;
    if (yield* isSeal(key)) yield* deleteBlobs([key]);
  }
}

/** Each writer's objects, ascending; at least one. */
function* writersOf(log: string): StoreScript<ReadonlyMap<string, readonly BlobEntry[]>> {
  const writers = new Map<string, BlobEntry[]>();
  for (const entry of yield* listBlobs(log)) {
    if (entry.key.startsWith(fencesFolder(log))) continue;
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

function isGap(keys: readonly string[], index: number): boolean {
  return index > 0 && numberOf(keys[index] as string) !== numberOf(keys[index - 1] as string) + 1;
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
