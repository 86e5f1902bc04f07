// What a task is to the shells: a synchronous function of (plan, range or input blocks, state
// before). `task-executor.ts` implements it; nothing here does I/O, reads a clock or is random.

import type { Exchange, StageId } from '../../plan/physical-plan.ts';
import { blockIndex } from '../../plan/routing.ts';
import type { SinkId, SourceId } from '../../plan/logical-plan.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { Batch } from '../columnar/batch.ts';

export type TaskId = {
  readonly stage: StageId;
  readonly partition: number;
  /** The micro-batch. */
  readonly batch: number;
  /** A task that stays open takes its input in parts, numbered from 0. */
  readonly part: number;
};

/**
 * All that a source task decided, and all that the partition's next one depends on; it rides on the
 * blocks and is logged.
 */
export type RangeRecord = {
  readonly source: SourceId;
  readonly partition: number;
  readonly batch: number;
  readonly from: number;
  readonly to: number;
  /** The micro-batch's trigger time at this partition, epoch ms. */
  readonly batchTimeMs: number;
  /** After the micro-batch; -Infinity before any event, Infinity at the end of input. */
  readonly watermarkMs: number;
  /** The partition does not hold back watermarks for now. */
  readonly idle: boolean;
  /** It did not at some time up to here. */
  readonly wasIdle: boolean;
  /** Batch time of the last micro-batch with a record, or of the first one. */
  readonly activeMs: number;
  readonly ended: boolean;
};

/** A partition of a stage: what owns state. */
export type StagePlace = { readonly stage: StageId; readonly partition: number };

/**
 * What a task sends over one exchange: the header every consumer gets, and the blocks. A null block
 * is empty, but announced all the same.
 */
export type ExchangeOutput = {
  readonly header: BlockHeader;
  /**
   * Encoded batches: by consumer partition where a hash says who gets a row, otherwise one for
   * whoever is fed by the task.
   */
  readonly blocks: readonly (Uint8Array | null)[];
};

/** An output as the input of one consumer partition. */
export function inputBlock(
  { header, blocks }: ExchangeOutput,
  to: { readonly exchange: Exchange; readonly consumer: number; readonly producer: number },
): InputBlock {
  const { exchange, consumer, producer } = to;
  return { producer, header, block: blocks[blockIndex(exchange, consumer)] ?? null };
}

export type BlockHeader = {
  /** Of the producing partition after this micro-batch. */
  readonly watermarkMs: number;
  readonly idle: boolean;
  /** Greatest batch time behind the block, epoch ms. */
  readonly batchTimeMs: number;
};

/** A block as its consumer gets it. */
export type InputBlock = {
  readonly producer: number;
  readonly header: BlockHeader;
  readonly block: Uint8Array | null;
};

export type TaskInput =
  | { readonly kind: 'scan'; readonly chunk: SourceChunk; readonly triggerMs: number }
  | {
      /**
       * By index in the stage's `input.exchanges`: of all producers in their order, or, in a part,
       * of those from whom something has come.
       */
      readonly kind: 'blocks';
      readonly blocks: readonly (readonly InputBlock[])[];
    };

export type TaskResult = {
  /** By position in the stage's `outputs`. */
  readonly outputs: readonly ExchangeOutput[];
  /** Rows for sinks, late rows and dead letters included; no entry where there are none. */
  readonly sinks: readonly { readonly sink: SinkId; readonly batch: Batch }[];
  readonly range: RangeRecord | null;
  /** The stage partition's watermark after the micro-batch. */
  readonly watermarkMs: number;
  readonly counts: TaskCounts;
};

export type TaskCounts = {
  /** Good records scanned, or rows that came in blocks. */
  readonly recordsIn: number;
  /** Bad records that were skipped or went to the dead letters. */
  readonly recordsBad: number;
  /** Rows that came after their last window was closed. */
  readonly recordsLate: number;
  readonly bytesIn: number;
  /** Rows to sinks. */
  readonly rowsOut: number;
};

/** Where blocks are put: shared memory in the embedded shell. Zeroed is not required. */
export type Allocate = (byteLength: number) => Uint8Array;
