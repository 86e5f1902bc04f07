// The range log in files of one host: an append is one synchronised write. Each writer has a
// folder with numbered segments. A driver seals it in two steps: it forbids further appends by a
// file `closing`, and only then writes down how far the log goes. A writer looks for `closing` once
// its bytes are on the disk, so what it reports as durable is always within what is written down.

import { AppendQueue } from '../../base/append-queue.ts';
import { appendsOf, logFenced } from '../../control/storage/range-log-errors.ts';
import { fstatSync, statSync } from 'node:fs';
import { open, readFile, readdir, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { sealKeptMs } from '../../control/limits.ts';
import { keyPart, nameOfKeyPart, numberPart } from '../../control/storage/blob-key.ts';
import { FieldProblem, JsonField } from '../../control/storage/json-fields.ts';
import { mergeRanges } from '../../control/storage/merge-ranges.ts';
import {
  decodeFrame,
  encodeFrame,
  frameEnd,
  sameRange,
} from '../../control/storage/range-frame.ts';
import { sealJson, unsealJson } from '../../control/storage/sealed-json.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { StreamError } from '../../base/stream-error.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../../ports/range-log.ts';
import {
  createSynced,
  isErrno,
  linkTo,
  makeFolder,
  syncFolder,
  writeAside,
  writeSynced,
} from './durable-file.ts';
import { fileFailure } from './file-failure.ts';

/** A segment is full from here on: released as a whole, so small; each costs a file. */
const segmentBytesMax = 1024 * 1024;

export class FileRangeLog implements RangeLog {
  readonly description: string;
  readonly #folder: string;
  /** Folders of sealed writers of which nothing but the mark is left, and since when that is. */
  readonly #spent = new Map<string, number>();

  /** A folder of this pipeline's own, on a disk of this host. */
  constructor(folder: string) {
    this.#folder = resolve(folder);
    this.description = this.#folder;
  }

  writer(name: string, term: number): RangeLogWriter {
    return new FileLogWriter({ name, term, log: this.#folder });
  }

  async fence(term: number): Promise<void> {
    const folder = join(this.#folder, fencesFolder);
    try {
      await makeFolder(folder);
      await createFile(folder, numberPart(term), { bytes: new Uint8Array(0) });
    } catch (error) {
      throw fileFailure(`fence the range log in`, folder, error);
    }
  }

  async seal(writer: string): Promise<void> {
    const folder = join(this.#folder, keyPart(writer));
    try {
      if ((await readSeal(folder)) !== null) return;
      await makeFolder(folder);
      await close(folder);
      const segment = (await segmentsIn(folder)).at(-1) ?? 0;
      const path = segmentPath(folder, segment);
      const length = wholeBytes(path, (await readIfThere(path)) ?? new Uint8Array(0));
      // What is recorded here will be decided upon, so it must outlive this host's next crash.
      const synced = syncFile(path);
      // Of two drivers the first one's length holds.
      await createFile(folder, 'seal', { bytes: sealJson({ segment, length }).bytes, synced });
    } catch (error) {
      throw fileFailure(`seal the range log of "${writer}" in`, folder, error);
    }
  }

  async read(afterBatch: number): Promise<readonly LoggedRange[]> {
    try {
      const folders = (await this.#writers()).filter((folder) => !this.#spent.has(folder));
      const frames = await Promise.all(folders.map((folder) => readWriter(folder, afterBatch)));
      const records = frames.flat().flatMap((frame) => frame.records);
      return mergeRanges(records, afterBatch, sameRange);
    } catch (error) {
      throw fileFailure('read the range log in', this.#folder, error);
    }
  }

  /** Nothing: every read begins anew. */
  keepUp(): Promise<void> {
    return Promise.resolve();
  }

  async writers(): Promise<readonly string[]> {
    const folders = await this.#writers();
    const names = folders.map((folder) => nameOfKeyPart(basename(folder)));
    return names.filter((name) => name !== null);
  }

  /** Whole segments, and a sealed writer's folder when its seal has grown old. */
  async release(throughBatch: number): Promise<void> {
    try {
      for (const folder of await this.#writers()) {
        const sealedMs = this.#spent.get(folder) ?? (await releaseWriter(folder, throughBatch));
        if (sealedMs === null) continue;
        this.#spent.set(folder, sealedMs);
        if (Date.now() - sealedMs < sealKeptMs) continue;
        await rm(folder, { recursive: true, force: true });
        this.#spent.delete(folder);
      }
    } catch (error) {
      throw fileFailure('release the range log in', this.#folder, error);
    }
  }

  async #writers(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => join(this.#folder, entry.name));
  }
}

class FileLogWriter implements RangeLogWriter {
  readonly #name: string;
  readonly #folder: string;
  readonly #fences: string;
  readonly #term: number;
  readonly #queue: AppendQueue<LoggedRange>;
  #file: FileHandle | null = null;
  #segment = -1;
  #length = 0;
  #throughBatch = -1;
  /** After a failed write nobody knows what is on the disk: a new life of the worker must write. */
  #broken: StreamError | null = null;

  constructor({
    name,
    term,
    log,
  }: {
    readonly name: string;
    readonly term: number;
    readonly log: string;
  }) {
    this.#name = name;
    this.#folder = join(log, keyPart(name));
    this.#fences = join(log, fencesFolder);
    this.#term = term;
    this.#queue = new AppendQueue(appendsOf(name, (records) => this.#write(records)));
  }

  append(records: readonly LoggedRange[]): Promise<void> {
    return this.#queue.append(records);
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#file?.close();
    this.#file = null;
  }

  async #write(records: readonly LoggedRange[]): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    try {
      const file = await this.#segmentFile();
      for (const { batch } of records) this.#throughBatch = Math.max(this.#throughBatch, batch);
      const throughBatch = this.#throughBatch;
      const bytes = encodeFrame({ kind: 'records', throughBatch, records });
      await writeSynced(file, bytes, this.#length);
      this.#length += bytes.length;
      // Or so long dead that even the mark is gone, and with it the file.
      if (fstatSync(file.fd).nlink === 0 || this.#isClosing()) throw logFenced(this.#name);
    } catch (error) {
      this.#broken = fileFailure(
        `append to the range log as "${this.#name}" in`,
        this.#folder,
        error,
      );
      throw this.#broken;
    }
  }

  async #segmentFile(): Promise<FileHandle> {
    if (this.#file !== null && this.#length < segmentBytesMax) return this.#file;
    if (this.#file === null) await makeFolder(this.#folder);
    // A sealed writer's files may be released: they must not appear anew.
    if (this.#isClosing()) throw logFenced(this.#name);
    await this.#file?.close();
    this.#segment++;
    this.#length = 0;
    this.#file = await createSynced(segmentPath(this.#folder, this.#segment));
    await syncFolder(this.#folder);
    // Whoever fences looks for writers afterwards: this one is seen, or sees the fence.
    if (this.#segment === 0 && (await newestFence(this.#fences)) > this.#term) {
      throw logFenced(this.#name);
    }
    return this.#file;
  }

  /** Waits for no disk, for this host's kernel knows the entry; a promise would cost ten times. */
  #isClosing(): boolean {
    return statSync(join(this.#folder, 'closing'), { throwIfNoEntry: false }) !== undefined;
  }
}

/** In the log's folder: a file for each term that fences those before. */
const fencesFolder = '.terms';

async function newestFence(folder: string): Promise<number> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  return Math.max(0, ...names.map(Number).filter(Number.isSafeInteger));
}

type Frame = { readonly throughBatch: number; readonly records: readonly LoggedRange[] };

type Seal = { readonly segment: number; readonly length: number };

/** What counts of a writer: everything whole, up to its seal; records only after a micro-batch. */
async function readWriter(folder: string, afterBatch: number): Promise<readonly Frame[]> {
  const seal = await readSeal(folder);
  const segments = (await segmentsIn(folder)).filter(
    (segment) => seal === null || segment <= seal.segment,
  );
  const frames: Frame[] = [];
  for (const [index, segment] of segments.entries()) {
    const path = segmentPath(folder, segment);
    if (index > 0 && segment !== segments[index - 1]! + 1) {
      throw damaged(path, 'the segment before it is missing');
    }
    const bytes = await readIfThere(path);
    if (bytes === null) continue;
    const isLast = index === segments.length - 1;
    const end = seal?.segment === segment ? seal.length : null;
    const counted = end ?? (isLast ? wholeBytes(path, bytes) : bytes.length);
    frames.push(...framesOf(path, bytes, { end: counted, afterBatch }));
  }
  return frames;
}

function framesOf(
  path: string,
  bytes: Uint8Array,
  { end, afterBatch }: { readonly end: number; readonly afterBatch: number },
): readonly Frame[] {
  const frames: Frame[] = [];
  const counted = bytes.subarray(0, end);
  for (let at = 0; at < end;) {
    const decoded = decodeFrame(counted, at, afterBatch);
    if (decoded?.frame.kind !== 'records') throw damaged(path, `byte ${at} starts no frame`);
    frames.push(decoded.frame);
    at = decoded.end;
  }
  return frames;
}

/**
 * How far a file is whole. Only its last frame can be torn, by a crash in the middle of a write; if
 * another one follows what cannot be read, that was whole once.
 */
function wholeBytes(path: string, bytes: Uint8Array): number {
  let at = 0;
  for (;;) {
    const end = frameEnd(bytes, at);
    if (end === null) break;
    at = end;
  }
  if (bytes.length - at >= 8) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const next = at + 8 + view.getUint32(at, true);
    if (next > at + 8 && next < bytes.length && frameEnd(bytes, next) !== null) {
      throw damaged(path, `byte ${at} starts no frame, and one follows`);
    }
  }
  return at;
}

/** When the writer was sealed of which nothing but the mark is left; null: there is more. */
async function releaseWriter(folder: string, throughBatch: number): Promise<number | null> {
  const seal = await readSeal(folder);
  const segments = await segmentsIn(folder);
  for (const [index, segment] of segments.entries()) {
    // An unsealed writer is still at its last one, and a sealed one must not be mistaken for new.
    if (seal === null && index === segments.length - 1) return null;
    const path = segmentPath(folder, segment);
    const bytes = (await readIfThere(path)) ?? new Uint8Array(0);
    const end = seal?.segment === segment ? seal.length : bytes.length;
    const isBehind = seal !== null && segment > seal.segment;
    const last = isBehind
      ? undefined
      : framesOf(path, bytes, { end, afterBatch: throughBatch }).at(-1);
    if ((last?.throughBatch ?? -1) > throughBatch) return null;
    await rm(path, { force: true });
  }
  const mark = await statIfThere(join(folder, 'seal'));
  return mark === null ? null : mark.mtimeMs;
}

async function readSeal(folder: string): Promise<Seal | null> {
  const path = join(folder, 'seal');
  const bytes = await readIfThere(path);
  if (bytes === null) return null;
  const sealed = unsealJson(bytes);
  if ('problem' in sealed) throw damaged(path, sealed.problem);
  const from = new JsonField(sealed.content);
  try {
    return { segment: from.get('segment').whole(), length: from.get('length').whole() };
  } catch (error) {
    throw error instanceof FieldProblem ? damaged(path, error.message) : error;
  }
}

/**
 * Forbids further appends. The mark is for writers that live, and none outlives a crash of this
 * host: it need not be on the disk.
 */
async function close(folder: string): Promise<void> {
  const file = await open(join(folder, 'closing'), 'a');
  await file.close();
}

/** Durable, and whole or not there, once what it speaks of is durable. False: it was there. */
async function createFile(
  folder: string,
  name: string,
  { bytes, synced }: { readonly bytes: Uint8Array; readonly synced?: Promise<void> },
): Promise<boolean> {
  const [aside] = await Promise.all([writeAside(join(folder, '..', '.aside'), bytes), synced]);
  try {
    return await linkTo(aside, join(folder, name));
  } finally {
    await rm(aside, { force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+');
    await file.datasync().finally(() => file.close());
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

async function segmentsIn(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /^\d+\.log$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

function segmentPath(folder: string, segment: number): string {
  return join(folder, `${numberPart(segment)}.log`);
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    const { buffer, byteOffset, length } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

async function statIfThere(path: string): Promise<{ readonly mtimeMs: number } | null> {
  return stat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  });
}

function damaged(path: string, problem: string): StreamError {
  return storageError({
    code: 'range-log-damaged',
    message: `could not read the range log at "${path}": ${problem}`,
    hint: 'the ranges since the last checkpoint are not known: restore the file from a backup',
    fields: { file: path },
  });
}
