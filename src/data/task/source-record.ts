// The state of a source partition in a snapshot: the record of its last micro-batch.

import type { SourceId } from '../../plan/logical-plan.ts';
import type { ColumnReader } from '../snapshot/column-reader.ts';
import type { ColumnWriter } from '../snapshot/column-writer.ts';
import { sectionKinds } from '../snapshot/snapshot-file.ts';
import type { RangeRecord } from './task.ts';

export class SourceRecord {
  readonly section = sectionKinds.source;
  /** Null before the record is loaded. */
  record: RangeRecord | null;
  readonly #source: SourceId;
  readonly #partition: number;

  constructor(source: SourceId, partition: number, record: RangeRecord | null) {
    this.#source = source;
    this.#partition = partition;
    this.record = record;
  }

  /** As small as a delta would be. */
  changes(): null {
    return null;
  }

  save(to: ColumnWriter): void {
    const { batch, from, to: end, batchTimeMs, watermarkMs, activeMs, ...rest } = this.record!;
    to.numbers(batch, from, end, batchTimeMs, watermarkMs, activeMs);
    to.u8(Uint8Array.from([rest.idle, rest.wasIdle, rest.ended], Number));
  }

  load(columns: ColumnReader): void {
    const [batch, from, to, batchTimeMs, watermarkMs, activeMs] = columns.f64(6);
    const [idle, wasIdle, ended] = columns.flags(3);
    this.record = {
      source: this.#source,
      partition: this.#partition,
      batch: batch!,
      from: from!,
      to: to!,
      batchTimeMs: batchTimeMs!,
      watermarkMs: watermarkMs!,
      idle: idle === 1,
      wasIdle: wasIdle === 1,
      activeMs: activeMs!,
      ended: ended === 1,
    };
  }

  settle(): void {}
}
