// Blocks, ranges, snapshots and gauges on the wire: the same at the other end, aligned, and never
// believed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { HandleCodec } from '../../control/protocol/handle-codec.ts';
import type { ExchangeOutput, RangeRecord } from '../../data/task/task.ts';
import type { WorkerGauges } from '../../observe/gauges.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { SnapshotHandle } from '../host/snapshot-handle.ts';
import { messageCodecs } from './handle-codecs.ts';

const sources = ['clicks', 'views'] as SourceId[];
const codecs = messageCodecs(sources);
const { output: outputs } = codecs;
const ms = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(Infinity, -Infinity));
const offset = fc.maxSafeNat();

const output: fc.Arbitrary<ExchangeOutput> = fc.record({
  header: fc.record({
    watermarkMs: ms,
    idle: fc.boolean(),
    batchTimeMs: ms,
  }),
  blocks: fc.array(fc.option(fc.uint8Array({ maxLength: 3000 })), { maxLength: 9 }),
});

const range: fc.Arbitrary<RangeRecord> = fc.record({
  source: fc.constantFrom(...sources),
  partition: fc.nat({ max: 1000 }),
  batch: fc.nat(),
  from: offset,
  to: offset,
  batchTimeMs: ms,
  watermarkMs: ms,
  idle: fc.boolean(),
  wasIdle: fc.boolean(),
  activeMs: ms,
  ended: fc.boolean(),
});

const snapshot: fc.Arbitrary<SnapshotHandle> = fc.record({
  objects: fc.array(
    fc.record({
      key: fc.string({ unit: 'grapheme' }),
      bytes: offset,
      crc32: fc.nat({ max: 2 ** 32 - 1 }),
      kind: fc.constantFrom('base' as const, 'delta' as const),
      batch: fc.integer({ min: -1 }),
    }),
  ),
});

const optional = fc.option(fc.double({ noNaN: true }));
const gauges: fc.Arbitrary<WorkerGauges> = fc.record({
  recordsIn: offset,
  recordsBad: offset,
  recordsLate: offset,
  bytesIn: offset,
  rowsOut: offset,
  watermarkMs: ms,
  lagRecords: optional,
  lagBytes: optional,
  lagMs: optional,
  stateBytes: offset,
  heapBytes: offset,
  offsets: fc.array(fc.record({ source: fc.string(), partition: fc.nat({ max: 9 }), to: offset })),
});

/** Written behind `lead` bytes, so that alignment has something to do. */
function encode(codec: HandleCodec, handle: unknown, lead: number): Uint8Array {
  const writer = new ByteWriter();
  for (let index = 0; index < lead; index++) writer.u8(7);
  codec.write(writer, handle);
  return Buffer.concat(writer.finish());
}

function decode(codec: HandleCodec, bytes: Uint8Array, lead: number): unknown {
  const reader = new ByteReader(bytes);
  reader.raw('lead', lead);
  const decoded = reader.finish(codec.read(reader));
  assert.ok(decoded.ok, JSON.stringify(decoded));
  return decoded.value;
}

test('outputs: header and blocks are the same at the other end, and blocks are aligned', () => {
  fc.assert(
    fc.property(output, fc.nat({ max: 20 }), (sent, lead) => {
      const received = decode(outputs, encode(outputs, sent, lead), lead) as ExchangeOutput;
      assert.deepEqual(received.header, structuredClone(sent.header));
      sent.blocks.forEach((block, partition) => {
        const own = received.blocks[partition] ?? null;
        assert.deepEqual(own === null ? null : [...own], block === null ? null : [...block]);
      });
      assert.ok(received.blocks.length <= sent.blocks.length);
    }),
  );
});

test('outputs: a long block is taken as it is, and short ones are aligned in the frame', () => {
  const block = new Uint8Array(5000).fill(3);
  const writer = new ByteWriter();
  const header = { watermarkMs: 1, idle: false, batchTimeMs: 2 };
  outputs.write(writer, { header, blocks: [null, block] });
  const pieces = writer.finish();
  assert.ok(pieces.includes(block), 'it was copied');
  const before = pieces
    .slice(0, pieces.indexOf(block))
    .reduce((sum, { length }) => sum + length, 0);
  assert.equal(before % 8, 0);
});

/** That a handle is the same at the other end, whatever comes before it. */
function travels<T>(codec: HandleCodec, handles: fc.Arbitrary<T>): void {
  fc.assert(
    fc.property(handles, fc.nat({ max: 20 }), (sent, lead) => {
      assert.deepEqual(decode(codec, encode(codec, sent, lead), lead), structuredClone(sent));
    }),
  );
}

test('gauges: the same at the other end, and null stays null', () => {
  travels(codecs.gauges, fc.option(gauges));
});

test('ranges and snapshots: the same at the other end', () => {
  travels(codecs.range, range);
  travels(codecs.snapshot, snapshot);
});

test('ranges: a source that the plan has not, an offset that is none, are refused', () => {
  const written = fc.sample(range, 1)[0]!;
  const refusalOf = (sent: RangeRecord, by = codecs): unknown => {
    const reader = new ByteReader(encode(codecs.range, sent, 0));
    const decoded = reader.finish(by.range.read(reader));
    return decoded.ok ? null : decoded.refusal.what;
  };
  assert.equal(
    refusalOf({ ...written, source: sources[1]! }, messageCodecs(['a'] as SourceId[])),
    'source',
  );
  assert.equal(refusalOf(written, messageCodecs([])), 'source');
  for (const to of [NaN, Infinity]) assert.equal(refusalOf({ ...written, to }), 'offset');
});

test('handles: damaged bytes and noise are read without a throw', () => {
  fc.assert(
    fc.property(
      fc.record({ output, gauges, range, snapshot }),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 100 }),
      (sent, damage, noise) => {
        for (const name of ['output', 'gauges', 'range', 'snapshot'] as const) {
          const codec = codecs[name];
          const bytes = encode(codec, sent[name], 0);
          for (const [at, value] of damage) bytes[at % bytes.length] = value;
          codec.read(new ByteReader(bytes));
          codec.read(new ByteReader(noise));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
