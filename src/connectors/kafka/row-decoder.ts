// Records in an encoding of the user's own (Avro, Protobuf) as rows.

import { decodeUtf8 } from '../../data/columnar/utf8.ts';
import type { BadSourceRecord } from '../../ports/source-chunk.ts';
import type { RowObject } from '../../schema/data-type.ts';
import type { RecordsSpan } from './lay-lines.ts';
import { RecordWalk } from './record-walk.ts';
import type { Span } from './record-walk.ts';
import type { BatchTimes } from './splice-lines.ts';

/** What comes with a value. Bytes are views on what was fetched: copy what is to be kept. */
export type KafkaRecord = {
  readonly key: Uint8Array | null;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[];
};

export type KafkaDecoder = {
  /**
   * Must depend on its arguments alone, so that a range can be read again. What it throws makes a
   * bad record, for `onError`; null: the record is skipped.
   */
  decode(value: Uint8Array, record: KafkaRecord): RowObject | readonly RowObject[] | null;
  /**
   * Called for every value before it is decoded; a promise is waited for: the schema whose id the
   * value has is fetched here. Nothing for one that is known.
   */
  prepare?(value: Uint8Array): Promise<unknown> | undefined;
};

/** Rows gathered so far, with the offset of the record of each. */
export type GatheredRows = {
  readonly rows: RowObject[];
  readonly offsets: number[];
  readonly bad: BadSourceRecord[];
  bytes: number;
};

export class RowDecoder {
  readonly #decoder: KafkaDecoder;
  readonly #nest: (row: RowObject) => RowObject;
  readonly #partition: number;

  constructor(options: {
    readonly decoder: KafkaDecoder;
    readonly nest: (row: RowObject) => RowObject;
    readonly partition: number;
  }) {
    this.#decoder = options.decoder;
    this.#nest = options.nest;
    this.#partition = options.partition;
  }

  open(
    bytes: Uint8Array,
    { span, times }: { readonly span: RecordsSpan; readonly times: BatchTimes },
  ): RowRecords {
    return new RowRecords(new RecordWalk(bytes, span), (walk, gathered) => {
      this.#decode(bytes, { walk, times }, gathered);
    });
  }

  get prepares(): boolean {
    return this.#decoder.prepare !== undefined;
  }

  /** Of all values of a batch, one after the other. */
  async prepare(bytes: Uint8Array, span: RecordsSpan): Promise<void> {
    const walk = new RecordWalk(bytes, span);
    while (walk.next()) {
      const value = viewOf(bytes, walk.value);
      const waits = value === null ? undefined : this.#decoder.prepare?.(value);
      if (waits !== undefined) await waits;
    }
  }

  #decode(
    bytes: Uint8Array,
    { walk, times }: { readonly walk: RecordWalk; readonly times: BatchTimes },
    gathered: GatheredRows,
  ): void {
    const value = viewOf(bytes, walk.value);
    if (value === null) return;
    const { offset } = walk;
    const headers: (readonly [string, Uint8Array | null])[] = [];
    walk.headers((name, each) => {
      headers.push([decodeUtf8(bytes, name.start, name.end), viewOf(bytes, each)]);
    });
    const record: KafkaRecord = {
      key: viewOf(bytes, walk.key),
      partition: this.#partition,
      offset,
      timestampMs: times.appendMs ?? times.baseMs + walk.timestampDelta,
      headers,
    };
    let rows: RowObject | readonly RowObject[] | null;
    try {
      rows = this.#decoder.decode(value, record);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `it could not be decoded: ${reason}`;
      const text = decodeUtf8(bytes, walk.value.start, walk.value.end);
      gathered.bad.push({ code: 'kafka-decode', message, offset, record: text });
      return;
    }
    if (rows === null) return;
    const all = (Array.isArray as (value: unknown) => value is readonly RowObject[])(rows)
      ? rows
      : [rows];
    for (const row of all) {
      gathered.rows.push(this.#nest(row));
      gathered.offsets.push(offset);
    }
  }
}

/** The records of one batch, of which a part is taken at a time. */
export class RowRecords {
  readonly #walk: RecordWalk;
  readonly #decode: (walk: RecordWalk, gathered: GatheredRows) => void;
  /** Behind the last record that was taken. */
  position = 0;

  constructor(walk: RecordWalk, decode: (walk: RecordWalk, gathered: GatheredRows) => void) {
    this.#walk = walk;
    this.#decode = decode;
  }

  /** Takes records of [from, limit). True: the batch has no more of them. */
  take(
    gathered: GatheredRows,
    taking: { readonly bytesMax: number; readonly from: number; readonly limit: number },
  ): boolean {
    const walk = this.#walk;
    for (let bytes = 0; bytes < taking.bytesMax;) {
      if (!walk.next() || walk.offset >= taking.limit) return true;
      if (walk.offset < taking.from) continue;
      this.#decode(walk, gathered);
      const size = Math.max(1, walk.value.end - walk.value.start);
      bytes += size;
      gathered.bytes += size;
      this.position = walk.offset + 1;
    }
    return false;
  }
}

function viewOf(bytes: Uint8Array, { start, end }: Span): Uint8Array | null {
  return end < 0 ? null : bytes.subarray(start, end);
}
