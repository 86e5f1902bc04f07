// What RequestWriter writes, AnswerReader reads; and against bytes taken from the protocol's own
// description of its types.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerReader } from './answer-reader.ts';
import { RequestWriter } from './request-writer.ts';

const id = '01234567-89ab-cdef-0123-456789abcdef';

test('RequestWriter writes the protocol’s types', () => {
  const writer = new RequestWriter();
  writer
    .int8(-1)
    .int16(258)
    .int32(-2)
    .int64(2 ** 40 + 1)
    .boolean(true)
    .varint(300)
    .text('é')
    .text(null)
    .shortText('a')
    .array(['b'], (each) => void writer.text(each))
    .array(null, () => {})
    .records(Uint8Array.of(1, 2, 3))
    .noTags();
  const expected =
    'ff 0102 fffffffe 0000010000000001 01 ac02 03c3a9 00 000161 020262 00 04010203 00';
  const body = Buffer.from(expected.replaceAll(' ', ''), 'hex');
  const bytes = Buffer.concat(writer.finish());
  assert.equal(bytes.readInt32BE(0), body.length);
  assert.deepEqual(bytes.subarray(4), body);
});

test('RequestWriter does not copy records', () => {
  const records = new Uint8Array(10);
  assert.ok(new RequestWriter().int8(1).records(records).noTags().finish().includes(records));
});

test('AnswerReader reads what RequestWriter writes, however much that is', () => {
  const texts = Array.from({ length: 500 }, (_, index) => 'x'.repeat(index));
  const numbers = [0, 1, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53) + 1];
  const writer = new RequestWriter();
  writer.uuid(id).array(texts, (text) => void writer.text(text));
  writer.array(numbers, (number) => void writer.int64(number));
  for (const value of [0, 127, 128, 16_383, 16_384, 2 ** 31 - 1]) writer.varint(value);
  writer.text(null).records(Uint8Array.of(9, 8));
  const reader = new AnswerReader(Buffer.concat(writer.finish()), 4);
  assert.equal(reader.uuid(), id);
  assert.deepEqual(
    reader.array(() => reader.text()),
    texts,
  );
  assert.deepEqual(
    reader.array(() => reader.int64()),
    numbers,
  );
  const varints = Array.from({ length: 6 }, () => reader.varint());
  assert.deepEqual(varints, [0, 127, 128, 16_383, 16_384, 2 ** 31 - 1]);
  assert.equal(reader.nullableText(), null);
  assert.deepEqual(reader.records(), Uint8Array.of(9, 8));
});

test('AnswerReader throws at the end of the bytes', () => {
  const reader = new AnswerReader(Buffer.from([0, 0, 200, 1]), 0);
  assert.throws(() => reader.int64());
  const text = new AnswerReader(Buffer.from([9, 65]), 0);
  assert.throws(() => text.text(), /ends too early/);
  const tags = new AnswerReader(Buffer.from([1, 0, 5, 1]), 0);
  assert.throws(() => tags.skipTags());
});
