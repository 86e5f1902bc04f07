// The checkpoints of one pipeline in a store: state objects with their checksums, and the chain of
// manifests. The protocol is in `control/storage`; here are bytes, time, and warnings.

import { crc32 } from 'node:zlib';
import type { StreamError } from '../../base/stream-error.ts';
import type {
  CheckpointContent,
  CheckpointManifest,
  StateObject,
} from '../../control/protocol/checkpoint-manifest.ts';
import type { ChainHead, PassedOver } from '../../control/storage/checkpoint-chain.ts';
import {
  commitCheckpoint,
  latestCheckpoint,
  missingState,
  openTerm,
  readChain,
  stateSizes,
} from '../../control/storage/checkpoint-chain.ts';
import type { Retained } from '../../control/storage/checkpoint-retention.ts';
import { retainCheckpoints } from '../../control/storage/checkpoint-retention.ts';
import type { PipelineKeys, StateName, StateWriter } from '../../control/storage/pipeline-keys.ts';
import {
  manifestKey,
  pipelineKeys,
  pipelineOfManifest,
  stateKey,
} from '../../control/storage/pipeline-keys.ts';
import { deleteSavepoint, readSavepointMarks } from '../../control/storage/savepoint-marks.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import { checkpointsKeptDefault } from '../../control/limits.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { mapped, runStoreScript } from './run-script.ts';

/** State objects that are read at a time when everything is verified; each may be large. */
const verifyReadsMax = 4;

export type CheckpointStoreOptions = {
  readonly pipeline: string;
  readonly nowMs: () => number;
  /** What was found damaged, and what is done instead. */
  readonly warn: (text: string, fields: { readonly [name: string]: string }) => void;
};

export class CheckpointStore {
  readonly #store: BlobStore;
  readonly #keys: PipelineKeys;
  readonly #options: CheckpointStoreOptions;

  constructor(store: BlobStore, options: CheckpointStoreOptions) {
    this.#store = store;
    this.#keys = pipelineKeys(options.pipeline);
    this.#options = options;
  }

  get pipeline(): string {
    return this.#options.pipeline;
  }

  /** Makes a state object durable; the answer goes into a manifest. */
  async writeState(writer: StateWriter, name: StateName, bytes: Uint8Array): Promise<StateObject> {
    const key = stateKey(writer, name);
    await this.#store.put(`${this.#keys.folder}${key}`, bytes);
    const { kind, batch } = name;
    return { key, bytes: bytes.length, crc32: crc32(bytes), kind, batch };
  }

  /** The bytes that were written, or `checkpoint-damaged`. */
  async readState(object: StateObject): Promise<Uint8Array> {
    const blob = await this.#store.get(`${this.#keys.folder}${object.key}`);
    const problem = stateProblem(object, blob?.bytes ?? null);
    if (blob !== null && problem === null) return blob.bytes;
    const { pipeline } = this.#options;
    throw storageError({
      code: 'checkpoint-damaged',
      message: `could not use the state "${object.key}" of "${pipeline}": it ${problem}`,
      hint: 'an older checkpoint can be used; `mizzle checkpoints verify` shows which are whole',
      fields: { pipeline, file: object.key, store: this.#store.description },
    });
  }

  /**
   * The newest whole checkpoint, of those before the entry `below` if that is given. What is newer
   * and damaged is warned of. Null: there is none at all; throws if there is none that is whole.
   * State objects must exist with their size; who reads one and finds damage asks with `below`.
   */
  async latest(below?: number): Promise<CheckpointManifest | null> {
    const script = latestCheckpoint(this.#keys, below);
    const { checkpoint, passedOver } = await runStoreScript(this.#store, script);
    for (const found of passedOver) this.#warnOf(found, checkpoint);
    return checkpoint;
  }

  /**
   * As `latest`, and its state has been read and is what was written: damage is found now, while
   * there is a choice. Costs a start the time to read all state once.
   */
  async latestWhole(): Promise<CheckpointManifest | null> {
    const damaged: PassedOver[] = [];
    let found = await this.latest();
    while (found !== null) {
      const [problem] = await this.#stateProblems(found, new Map());
      if (problem === undefined) break;
      const { sequence } = found;
      damaged.push({ key: manifestKey(this.#keys, sequence), problem });
      found = await this.latest(sequence);
    }
    // Beginning anew instead would lose what was counted.
    if (found === null && damaged[0] !== undefined) throw this.#noneWhole(damaged[0].problem);
    for (const each of damaged) this.#warnOf(each, found);
    return found;
  }

  /** From here on no driver of a lesser term can commit. */
  async open(driver: { readonly term: number; readonly holder: string }): Promise<ManifestWriter> {
    const nowMs = this.#options.nowMs();
    const script = openTerm(this.#keys, { ...driver, nowMs });
    const head = await runStoreScript(this.#store, script);
    return new ManifestWriter(this.#store, this.#keys, this.#options, head);
  }

  /**
   * Every entry that can be read, oldest first; what cannot is warned of. A savepoint that somebody
   * has deleted is an ordinary checkpoint, until retention takes it.
   */
  async list(): Promise<readonly CheckpointManifest[]> {
    const chain = await runStoreScript(this.#store, readChain(this.#keys));
    const { deleted } = await runStoreScript(this.#store, readSavepointMarks(this.#keys));
    return chain.flatMap((found) => {
      if ('problem' in found) this.#warnOf(found, null);
      if (!('entry' in found) || found.entry.kind !== 'checkpoint') return [];
      const { entry } = found;
      return [deleted.has(entry.sequence) ? { ...entry, savepoint: null } : entry];
    });
  }

  /** What is missing or damaged of its state, all of which is read. */
  problemsOf(manifest: CheckpointManifest): Promise<readonly string[]> {
    return this.#stateProblems(manifest, new Map());
  }

  /** It may be deleted like other checkpoints from now on. */
  async deleteSavepoint(sequence: number): Promise<void> {
    await runStoreScript(this.#store, deleteSavepoint(this.#keys, sequence));
  }

  /**
   * Deletes what the last checkpoints and all savepoints do not need, as a driver does after each
   * checkpoint. One of the newest term may run meanwhile.
   */
  async retain(): Promise<Retained> {
    const chain = await runStoreScript(this.#store, readChain(this.#keys));
    const terms = chain.flatMap((found) => ('entry' in found ? [found.entry.term] : []));
    const nowMs = this.#options.nowMs();
    const options = { term: Math.max(0, ...terms), keep: checkpointsKeptDefault, nowMs };
    return runStoreScript(this.#store, retainCheckpoints(this.#keys, options));
  }

  /** Reads everything, state too: one report for each entry but the marks of terms. */
  async verify(): Promise<readonly VerifiedCheckpoint[]> {
    const chain = await runStoreScript(this.#store, readChain(this.#keys));
    const sizes = await runStoreScript(this.#store, stateSizes(this.#keys));
    const problems = new Map<string, string | null>();
    const verified: VerifiedCheckpoint[] = [];
    for (const found of chain) {
      if ('problem' in found) {
        verified.push({ key: found.key, manifest: null, problems: [found.problem] });
        continue;
      }
      const { key, entry } = found;
      if (entry.kind === 'term') continue;
      const missing = missingState(entry, sizes);
      const damaged = await this.#stateProblems(entry, problems);
      const all = damaged.length === 0 && missing !== null ? [missing] : damaged;
      verified.push({ key, manifest: entry, problems: all });
    }
    return verified;
  }

  /** What is wrong with its state objects' content; `known`: what was found of each before. */
  async #stateProblems(
    { state }: CheckpointManifest,
    known: Map<string, string | null>,
  ): Promise<readonly string[]> {
    const objects = state.flatMap((partition) => partition.objects);
    await mapped(objects, verifyReadsMax, async (object) => {
      if (known.has(object.key)) return;
      const blob = await this.#store.get(`${this.#keys.folder}${object.key}`);
      known.set(object.key, stateProblem(object, blob?.bytes ?? null));
    });
    return objects.flatMap(({ key }) => {
      const problem = known.get(key) ?? null;
      return problem === null ? [] : [`its state object "${key}" ${problem}`];
    });
  }

  #noneWhole(problem: string): StreamError {
    const { pipeline } = this.#options;
    return storageError({
      code: 'checkpoint-damaged',
      message: `could not find a whole checkpoint of "${pipeline}": ${problem}`,
      hint: 'restore the files from a backup, or name an empty place to begin anew',
      fields: { pipeline, store: this.#store.description },
    });
  }

  #warnOf({ key, problem }: PassedOver, instead: CheckpointManifest | null): void {
    const use = instead === null ? '' : `; used checkpoint ${instead.sequence} instead`;
    this.#options.warn(`passed over a damaged checkpoint: ${problem}${use}`, {
      pipeline: this.#options.pipeline,
      file: key,
    });
  }
}

export type VerifiedCheckpoint = {
  readonly key: string;
  /** Null: it cannot be read. */
  readonly manifest: CheckpointManifest | null;
  /** None: it is whole. */
  readonly problems: readonly string[];
};

/** The manifests of one term. Calls come one after the other. */
export class ManifestWriter {
  readonly #store: BlobStore;
  readonly #keys: PipelineKeys;
  readonly #options: CheckpointStoreOptions;
  #head: ChainHead;

  constructor(
    store: BlobStore,
    keys: PipelineKeys,
    options: CheckpointStoreOptions,
    head: ChainHead,
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#options = options;
    this.#head = head;
  }

  get term(): number {
    return this.#head.term;
  }

  /** Rejects with `fenced` when a driver with a greater term has opened the chain. */
  async commit(content: CheckpointContent): Promise<CheckpointManifest> {
    const nowMs = this.#options.nowMs();
    const script = commitCheckpoint(this.#keys, this.#head, { content, nowMs });
    const { manifest, head } = await runStoreScript(this.#store, script);
    this.#head = head;
    return manifest;
  }

  /** Deletes what the last `keep` checkpoints and all savepoints do not need. */
  async retain(keep: number = checkpointsKeptDefault): Promise<Retained> {
    const { term } = this.#head;
    const script = retainCheckpoints(this.#keys, { term, keep, nowMs: this.#options.nowMs() });
    const retained = await runStoreScript(this.#store, script);
    for (const { key, problem } of retained.unreadable) {
      this.#options.warn(`deleted no state: a manifest hides what it needs: ${problem}`, {
        pipeline: this.#options.pipeline,
        file: key,
      });
    }
    return retained;
  }
}

/** The names of all pipelines that have a manifest in the store. */
export async function pipelinesIn(store: BlobStore): Promise<readonly string[]> {
  const names = new Set<string>();
  for await (const { key } of store.list('')) {
    const pipeline = pipelineOfManifest(key);
    if (pipeline !== null) names.add(pipeline);
  }
  return [...names];
}

function stateProblem(object: StateObject, bytes: Uint8Array | null): string | null {
  if (bytes === null) return 'is missing';
  if (bytes.length !== object.bytes) return `has ${bytes.length} bytes, not ${object.bytes}`;
  return crc32(bytes) === object.crc32 ? null : 'does not match its checksum';
}
