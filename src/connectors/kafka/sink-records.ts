// Rows into record batches: which partition each row goes to, and the bytes of it.

import { StreamError } from '../../base/stream-error.ts';
import type { Batch } from '../../data/columnar/batch.ts';
import type { KafkaCodecs, KafkaCompression } from '../../ports/kafka-wire.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { murmur2, partitionOfHash } from './murmur2.ts';
import { RecordBuffer, bytesAtMost } from './record-buffer.ts';
import type { RecordBatch, RecordColumns } from './record-buffer.ts';
import type { KafkaEncoder, KafkaFormat } from './kafka-format.ts';
import { columnNamed, encodedBy, headersOf, jsonOf, textOf } from './text-column.ts';
import type { TextColumn, TextColumnOf, Timestamps } from './text-column.ts';

export type RecordOptions = {
  readonly topic: string;
  /**
   * The column whose text is the record's key, or several, which make a JSON object. A null key
   * is none. Default: no keys.
   */
  readonly key?: string | readonly string[];
  /**
   * `json`, the default: the row as a JSON object. A column of strings or JSON: its text as it is,
   * and where it is null a record without value, which compaction takes for a removal. Or `avro()`,
   * `protobuf()`, an encoding of the row.
   */
  readonly value?: 'json' | { readonly column: string } | KafkaFormat;
  /** Columns that are left out of the JSON object: the key, for one. */
  readonly omit?: readonly string[];
  /** How timestamps are written in JSON. Default `ms`: milliseconds since the epoch. */
  readonly timestamps?: Timestamps;
  /** The column whose text is hashed for the partition, instead of the key. */
  readonly partitionBy?: string;
  /** A column of timestamps for the record's own. Default, and for nulls: the time of writing. */
  readonly timestamp?: string;
  /** Name of the header → the column whose text it has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `none`: least delay, most bytes. */
  readonly compression?: KafkaCompression;
  /**
   * Size of a record batch before compression; a greater record goes alone. Default 1,000,000:
   * what a topic takes that does not set max.message.bytes.
   */
  readonly batchBytesMax?: number;
};

const batchBytesMaxDefault = 1_000_000;

export type Placing = {
  readonly partitions: number;
  /** Where rows without key go first: to one partition until a record batch is full. */
  readonly first: number;
  readonly nowMs: number;
  /** A header more in the first record of each batch; null: none. */
  readonly mark: Uint8Array | null;
};

export class RecordEncoder {
  readonly #options: RecordOptions;
  readonly #codecs: KafkaCodecs;
  readonly #key: TextColumnOf | null;
  readonly #value: TextColumnOf;
  readonly #headers: TextColumnOf | null;
  readonly #place: TextColumnOf | null;
  readonly #timestamp: number;

  #rows: KafkaEncoder | null = null;

  /** Throws `option-invalid` where the schema does not fit. */
  constructor(schema: RowSchema, options: RecordOptions, codecs: KafkaCodecs) {
    const { value = 'json', omit = [], timestamps = 'ms', headers = {} } = options;
    checkColumns(schema, options);
    this.#options = options;
    this.#codecs = codecs;
    const names = keyColumns(options);
    this.#key = names.length === 0 ? null : textOf(schema, names, timestamps);
    if (value === 'json') this.#value = jsonOf(schema, { timestamps, omit });
    else if ('column' in value) this.#value = textOf(schema, [value.column], timestamps);
    else {
      const encoder = value.encoder({ topic: options.topic, part: 'value', schema });
      this.#value = encodedBy(encoder);
      this.#rows = encoder;
    }
    const hasHeaders = Object.keys(headers).length > 0;
    this.#headers = hasHeaders ? headersOf(schema, headers, timestamps) : null;
    const { partitionBy } = options;
    this.#place = partitionBy === undefined ? null : textOf(schema, [partitionBy], timestamps);
    this.#timestamp = schema.fields.findIndex(({ name }) => name === options.timestamp);
  }

  /** All rows of a micro-batch go to one partition, as long as they fit into one record batch. */
  staysTogether(partitions: number): boolean {
    return partitions === 1 || (this.#key === null && this.#place === null);
  }

  /** Once, before rows are encoded. Rejects where rows do not fit what the topic holds. */
  async prepare(): Promise<void> {
    await this.#rows?.prepare();
  }

  /** In order, for each partition. */
  encode(batch: Batch, placing: Placing): RecordBatch[] {
    const { compression = 'none', batchBytesMax = batchBytesMaxDefault } = this.#options;
    const columns: RecordColumns = {
      key: this.#key?.(batch) ?? null,
      value: this.#value(batch),
      headers: this.#headers?.(batch) ?? null,
    };
    const place = this.#place === null ? columns.key : this.#place(batch);
    const times = this.#timestamp < 0 ? null : batch.vectors[this.#timestamp]!;
    const timestamps = times?.kind === 'number' ? times : null;
    const buffers = new Map<number, RecordBuffer>();
    const full: RecordBatch[] = [];
    let sticky = placing.first % placing.partitions;
    for (let row = 0; row < batch.rowCount; row++) {
      const hashed = place === null ? -1 : partitionOfRow(place, row, placing.partitions);
      let partition = hashed < 0 ? sticky : hashed;
      let buffer = buffers.get(partition);
      if (buffer !== undefined && buffer.length + bytesAtMost(columns, row) > batchBytesMax) {
        full.push(buffer.finish(compression, this.#codecs));
        buffers.delete(partition);
        if (hashed < 0) {
          sticky = (sticky + 1) % placing.partitions;
          partition = sticky;
        }
        buffer = buffers.get(partition);
      }
      if (buffer === undefined) {
        buffer = new RecordBuffer(partition, placing.mark);
        buffers.set(partition, buffer);
      }
      const isDated = timestamps !== null && timestamps.valid?.[row] !== 0;
      buffer.put(row, columns, isDated ? timestamps.values[row]! : placing.nowMs);
    }
    for (const buffer of buffers.values()) full.push(buffer.finish(compression, this.#codecs));
    return full;
  }
}

/** -1: a null is nowhere at home. */
function partitionOfRow(place: TextColumn, row: number, partitions: number): number {
  if (place.valid !== null && place.valid[row] === 0) return -1;
  const { bytes, offsets, gap } = place;
  return partitionOfHash(murmur2(bytes, offsets[row]!, offsets[row + 1]! - gap), partitions);
}

export function keyColumns({ key }: Pick<RecordOptions, 'key'>): readonly string[] {
  if (key === undefined) return [];
  return typeof key === 'string' ? [key] : key;
}

function checkColumns(schema: RowSchema, options: RecordOptions): void {
  const { value = 'json', omit = [], partitionBy, timestamp, headers = {} } = options;
  for (const name of keyColumns(options)) columnNamed(schema, name, 'key');
  for (const name of omit) columnNamed(schema, name, 'value');
  for (const name of Object.values(headers)) columnNamed(schema, name, 'headers');
  if (partitionBy !== undefined) columnNamed(schema, partitionBy, 'partition');
  if (value !== 'json' && 'column' in value) {
    const { name, type } = columnNamed(schema, value.column, 'value');
    if (type.kind !== 'string' && type.kind !== 'json') {
      refuseKind({ name, kind: type.kind, wanted: 'string or json', what: 'value' });
    }
  }
  if (timestamp === undefined) return;
  const { name, type } = columnNamed(schema, timestamp, 'timestamp');
  if (type.kind === 'timestamp') return;
  refuseKind({ name, kind: type.kind, wanted: 'timestamp', what: 'timestamp' });
}

function refuseKind(column: {
  readonly name: string;
  readonly kind: string;
  readonly wanted: string;
  readonly what: string;
}): never {
  const { name, kind, wanted, what } = column;
  throw new StreamError({
    code: 'option-invalid',
    message: `could not set up "kafka": column "${name}" for the ${what} is of ${kind}`,
    hint: `choose a column of ${wanted}`,
    fields: { sink: 'kafka', column: name },
  });
}
