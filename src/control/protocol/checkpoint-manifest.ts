// A checkpoint's manifest: what the state of a pipeline was as of one micro-batch, and where its
// bytes lie. Manifests form a chain of numbered entries, each created only if its number is free;
// an entry of kind `term` holds nothing but closes the chain to every driver of a lesser term.

import type { PlanStructure } from '../../plan/plan-structure.ts';
import type { JsonValue } from '../../schema/data-type.ts';

/** Raised whenever a reader of the format before would misunderstand. */
export const manifestFormat = 2;

export type ChainEntry = CheckpointManifest | TermMark;

type EntryHead = {
  readonly format: typeof manifestFormat;
  readonly pipeline: string;
  /** Rises by one from entry to entry, from 1. */
  readonly sequence: number;
  readonly previous: PreviousEntry | null;
  readonly term: number;
  readonly createdMs: number;
};

export type PreviousEntry = {
  readonly sequence: number;
  /** Null: the entry before could not be read. */
  readonly checksum: string | null;
};

/** The first entry of a term. */
export type TermMark = EntryHead & {
  readonly kind: 'term';
  /** Who drives in this term. */
  readonly holder: string;
};

export type CheckpointManifest = EntryHead & CheckpointContent & { readonly kind: 'checkpoint' };

/** What a driver says of a checkpoint; its place in the chain comes with the commit. */
export type CheckpointContent = {
  /** The run's history: a start from a savepoint opens a new one. */
  readonly history: string;
  /** When the history began, epoch ms: sources count from it, also when it goes on. */
  readonly startMs: number;
  /** The state is as of this micro-batch, in every partition. */
  readonly batch: number;
  readonly planHash: string;
  readonly structure: PlanStructure;
  readonly sources: readonly SourceProgress[];
  /** Partitions with state; by stage, then partition. */
  readonly state: readonly PartitionState[];
  readonly sinks: readonly SinkProgress[];
  /** The name under which somebody wants it kept; null: retention may delete it. */
  readonly savepoint: string | null;
};

export type SourceProgress = {
  readonly source: string;
  /** What the source said of its partitions when the run started. */
  readonly layout: JsonValue;
  readonly partitions: readonly {
    readonly partition: number;
    /** The micro-batch of the record. */
    readonly batch: number;
    /** The last range record up to the checkpoint, encoded, base64. */
    readonly record: string;
  }[];
};

export type PartitionState = {
  readonly stage: number;
  readonly partition: number;
  /** A base and the deltas after it, in the order in which they are applied. */
  readonly objects: readonly StateObject[];
};

export type StateObject = {
  /** Below the pipeline's folder. */
  readonly key: string;
  readonly bytes: number;
  readonly crc32: number;
  readonly kind: 'base' | 'delta';
  /** The object brings the partition's state to this micro-batch. */
  readonly batch: number;
};

export type SinkProgress = {
  readonly sink: string;
  readonly partitions: readonly {
    readonly partition: number;
    /** The last micro-batch that the ledger says is visible; -1: none yet. */
    readonly batch: number;
  }[];
};
