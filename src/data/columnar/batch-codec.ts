// The bytes of a batch: what a block is. Equal batches have equal bytes. Decoding gives views of
// the block, copies nothing, and trusts nothing: a block whose lengths do not fit is refused.
//
// Layout, little-endian: u32 row count, u32 vector count, then one u32 a vector (bit 0: has
// `valid`; bits 1 to 3: kind; the rest: bytes of strings), then for each vector its buffers in the
// order values or offsets, bytes, valid. Header and buffers are padded with zeros to 8 bytes.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import { type BatchBuilder, vectorKind } from './batch-builder.ts';
import type { BuilderColumn } from './batch-builder.ts';
import type { Batch, Vector } from './batch.ts';

/** Gives `bytes` bytes, whose content may be anything, at a multiple of 8 in their buffer. */
export type Allocate = (bytes: number) => Uint8Array;

const kindCodes: { readonly [K in Vector['kind']]: number } = {
  number: 0,
  int32: 1,
  int64: 2,
  boolean: 3,
  string: 4,
};

/** A vector's strings must fit in the 28 bits that the header has for their length. */
const stringBytesMax = 2 ** 28 - 1;

export function encodedSize(batch: Batch | BatchBuilder): number {
  return 'columns' in batch ? builderSize(batch) : batchSize(batch);
}

function builderSize(builder: BatchBuilder): number {
  const { columns, rowCount } = builder;
  let size = headerSize(columns.length);
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!;
    assert(column.count === rowCount, 'every column of a batch has a value for every row');
    size += valuesSize(column.kind, rowCount);
    if (column.kind === 'string') size += align(column.offsets[rowCount]!);
    if (column.nullCount > 0) size += align(rowCount);
  }
  return size;
}

function batchSize(batch: Batch): number {
  const { vectors, rowCount } = batch;
  let size = headerSize(vectors.length);
  for (const vector of vectors) {
    size += valuesSize(vector.kind, rowCount);
    if (vector.kind === 'string') size += align(vector.offsets[rowCount]!);
    if (vector.valid !== null) size += align(rowCount);
  }
  return size;
}

function headerSize(vectorCount: number): number {
  return align(8 + 4 * vectorCount);
}

function valuesSize(kind: Vector['kind'], rowCount: number): number {
  switch (kind) {
    case 'number':
    case 'int64':
      return 8 * rowCount;
    case 'int32':
      return align(4 * rowCount);
    case 'boolean':
      return align(rowCount);
    case 'string':
      return align(4 * (rowCount + 1));
  }
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

// Making a typed array costs more than filling it with a dozen values, and the blocks of a
// micro-batch come out of a few large buffers: so the views of the last buffer are kept.
let target: ArrayBufferLike = new ArrayBuffer(0);
let bytes8: Uint8Array = new Uint8Array(target);
let words32: Int32Array = new Int32Array(target);
let floats64: Float64Array = new Float64Array(target);

function aim(buffer: ArrayBufferLike): void {
  target = buffer;
  bytes8 = new Uint8Array(buffer);
  words32 = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  floats64 = new Float64Array(buffer, 0, buffer.byteLength >> 3);
}

/** Writes a batch, or what a builder holds, into memory of `allocate`, and gives that memory. */
export function encodeBatch(batch: Batch | BatchBuilder, allocate: Allocate): Uint8Array {
  const size = encodedSize(batch);
  const out = allocate(size);
  const start = out.byteOffset;
  assert(out.length === size, 'the allocation has the size asked for');
  assert((start & 7) === 0, 'a block starts at a multiple of 8');
  if (out.buffer !== target) aim(out.buffer);
  const end = 'columns' in batch ? writeBuilder(batch, start) : writeBatch(batch, start);
  assert(end === start + size, 'a block is as long as was computed');
  return out;
}

function writeBuilder(builder: BatchBuilder, start: number): number {
  const { columns, rowCount } = builder;
  let header = writeCounts(start, rowCount, columns.length);
  let at = start + headerSize(columns.length);
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!;
    const hasNulls = column.nullCount > 0;
    const stringBytes = column.kind === 'string' ? column.offsets[rowCount]! : 0;
    words32[header++] = vectorWord(column.kind, stringBytes, hasNulls);
    at = writeValues(column, rowCount, at);
    if (hasNulls) at = writeBytes(column.valid, rowCount, at);
  }
  return at;
}

function writeBatch(batch: Batch, start: number): number {
  const { vectors, rowCount } = batch;
  let header = writeCounts(start, rowCount, vectors.length);
  let at = start + headerSize(vectors.length);
  for (const vector of vectors) {
    const stringBytes = vector.kind === 'string' ? vector.offsets[rowCount]! : 0;
    words32[header++] = vectorWord(vector.kind, stringBytes, vector.valid !== null);
    at = writeValues(vector, rowCount, at);
    if (vector.valid !== null) at = writeBytes(vector.valid, rowCount, at);
  }
  return at;
}

/** Gives the index of the first vector's word. */
function writeCounts(start: number, rowCount: number, vectorCount: number): number {
  const word = start >> 2;
  words32[word] = rowCount;
  words32[word + 1] = vectorCount;
  // Zeroes the padding when the count is odd; otherwise the first buffer overwrites it, or the
  // header has just this many words.
  if ((vectorCount & 1) === 1) words32[word + 2 + vectorCount] = 0;
  return word + 2;
}

function vectorWord(kind: Vector['kind'], stringBytes: number, hasNulls: boolean): number {
  assert(stringBytes <= stringBytesMax, 'the strings of one column of a block fit in 256 MiB');
  return (stringBytes << 4) | (kindCodes[kind] << 1) | (hasNulls ? 1 : 0);
}

function writeValues(vector: Vector | BuilderColumn, rowCount: number, at: number): number {
  switch (vector.kind) {
    case 'number':
      return writeNumbers(vector.values, rowCount, at);
    case 'int32':
      return writeWords(vector.values, rowCount, at);
    case 'int64':
      return writeWords(
        'words' in vector ? vector.words : wordsOf(vector.values),
        2 * rowCount,
        at,
      );
    case 'boolean':
      return writeBytes(vector.values, rowCount, at);
    case 'string': {
      const next = writeWords(vector.offsets, rowCount + 1, at);
      return writeBytes(vector.bytes, vector.offsets[rowCount]!, next);
    }
  }
}

function wordsOf(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

function writeNumbers(values: Float64Array, count: number, at: number): number {
  const out = floats64;
  const from = at >> 3;
  for (let index = 0; index < count; index++) {
    const value = values[index]!;
    out[from + index] = value === value ? value : NaN;
  }
  return at + 8 * count;
}

function writeWords(values: Int32Array, count: number, at: number): number {
  const out = words32;
  const from = at >> 2;
  for (let index = 0; index < count; index++) out[from + index] = values[index]!;
  if ((count & 1) === 1) out[from + count] = 0;
  return at + align(4 * count);
}

/** Up to this many bytes a loop beats `subarray` and `set`. */
const copyLoopBytesMax = 64;

function writeBytes(values: Uint8Array, count: number, at: number): number {
  const out = bytes8;
  if (count <= copyLoopBytesMax) {
    for (let index = 0; index < count; index++) out[at + index] = values[index]!;
  } else {
    out.set(values.subarray(0, count), at);
  }
  const end = at + align(count);
  for (let index = at + count; index < end; index++) out[index] = 0;
  return end;
}

/** The batch that a block holds, as views of it. Throws `malformed-block`, never a RangeError. */
export function decodeBatch(schema: RowSchema, block: Uint8Array): Batch {
  const { fields } = schema;
  if ((block.byteOffset & 7) !== 0) throw malformed('it does not start at a multiple of 8');
  if (block.length < headerSize(fields.length)) throw malformed('its header is cut off');
  const header = new Uint32Array(block.buffer, block.byteOffset, 2 + fields.length);
  const rowCount = header[0]!;
  if (header[1] !== fields.length) throw malformed('its columns are not those of the schema');
  if (rowCount > 0x7ffffff) throw malformed('its row count is absurd');
  const cursor: Cursor = { block, at: headerSize(fields.length) };
  const vectors: Vector[] = [];
  for (let index = 0; index < fields.length; index++) {
    const word = header[2 + index]!;
    const kind = vectorKind(fields[index]!.type);
    if (((word >> 1) & 7) !== kindCodes[kind]) {
      throw malformed('its columns are not those of the schema');
    }
    if (kind !== 'string' && word >>> 4 !== 0) throw malformed('a number column has string bytes');
    vectors.push(readVector(cursor, kind, rowCount, word));
  }
  if (cursor.at !== block.length) throw malformed('bytes are left over');
  return { schema, rowCount, vectors };
}

type Cursor = { readonly block: Uint8Array; at: number };

function readVector(cursor: Cursor, kind: Vector['kind'], rowCount: number, word: number): Vector {
  const { buffer } = cursor.block;
  const valuesAt = advance(cursor, valuesSize(kind, rowCount));
  switch (kind) {
    case 'number': {
      const values = new Float64Array(buffer, valuesAt, rowCount);
      return { kind, values, valid: readValid(cursor, rowCount, word) };
    }
    case 'int32': {
      const values = new Int32Array(buffer, valuesAt, rowCount);
      return { kind, values, valid: readValid(cursor, rowCount, word) };
    }
    case 'int64': {
      const values = new BigInt64Array(buffer, valuesAt, rowCount);
      return { kind, values, valid: readValid(cursor, rowCount, word) };
    }
    case 'boolean': {
      const values = new Uint8Array(buffer, valuesAt, rowCount);
      checkBits(values);
      return { kind, values, valid: readValid(cursor, rowCount, word) };
    }
    case 'string': {
      const offsets = new Int32Array(buffer, valuesAt, rowCount + 1);
      const length = word >>> 4;
      checkOffsets(offsets, length);
      const bytes = new Uint8Array(buffer, advance(cursor, align(length)), length);
      return { kind, offsets, bytes, valid: readValid(cursor, rowCount, word) };
    }
  }
}

function readValid(cursor: Cursor, rowCount: number, word: number): Uint8Array | null {
  if ((word & 1) === 0) return null;
  const at = advance(cursor, align(rowCount));
  const valid = new Uint8Array(cursor.block.buffer, at, rowCount);
  checkBits(valid);
  return valid;
}

/** Passes over the next buffer and gives its offset in the underlying buffer. */
function advance(cursor: Cursor, size: number): number {
  const at = cursor.at;
  if (size > cursor.block.length - at) throw malformed('it is cut off');
  cursor.at = at + size;
  return cursor.block.byteOffset + at;
}

function checkBits(values: Uint8Array): void {
  for (let index = 0; index < values.length; index++) {
    if (values[index]! > 1) throw malformed('a flag is neither 0 nor 1');
  }
}

function checkOffsets(offsets: Int32Array, length: number): void {
  let last = 0;
  if (offsets[0] !== 0) throw malformed('its string offsets do not start at 0');
  for (let index = 1; index < offsets.length; index++) {
    const offset = offsets[index]!;
    if (offset < last) throw malformed('its string offsets go back');
    last = offset;
  }
  if (last !== length) throw malformed('its string offsets do not end at the last byte');
}

function malformed(what: string): StreamError {
  return new StreamError({
    code: 'malformed-block',
    message: `could not decode a block: ${what}`,
    hint: 'the sender runs another version of the pipeline, or the block was damaged on its way',
  });
}
