// Measures how fast fetched record batches become lines for the JSON scanner, alone and with the
// scan behind it, and what the checksum adds. Every round works on a fresh copy of the bytes, which
// is not timed: the pass writes in place.

import { batchHeadAt, batchHeadBytes, crcFromByte } from '../src/connectors/kafka/record-batch.ts';
import { layLines } from '../src/connectors/kafka/lay-lines.ts';
import { LineTable } from '../src/connectors/kafka/line-table.ts';
import { encodeBatch } from '../src/connectors/kafka/record-encoder.fixture.ts';
import { socketPlatform } from '../src/connectors/kafka/sockets/platform.ts';
import { compileJsonScanner } from '../src/data/codegen/json-scanner.ts';
import { NewlineSearch } from '../src/data/codegen/newline-search.ts';
import type { KafkaCodecs } from '../src/ports/kafka-wire.ts';
import { print, spread, spreadText } from './figures.ts';
import type { BenchOptions } from './main.ts';

/** 4 MB, about what one answer of a broker has. */
const recordCount = 16_000;
const recordsPerBatch = 64;
const rounds = 101;

function fetched(): Uint8Array {
  const batches: Uint8Array[] = [];
  for (let from = 0; from < recordCount; from += recordsPerBatch) {
    const records = Array.from({ length: recordsPerBatch }, (_, index) => ({
      offset: from + index,
      value: record(from + index),
      timestampMs: 1_700_000_000_000 + index,
    }));
    batches.push(encodeBatch({ records }));
  }
  return Buffer.concat(batches);
}

/** 250 bytes. */
function record(n: number): string {
  const text = `{"ad_id":"ad-${String(n % 1000).padStart(6, '0')}","event_type":"view","n":${n}`;
  return `${text},"text":"${'x'.repeat(250 - text.length - 11)}"}`;
}

/** Gives the number of records. */
function layAll(bytes: Uint8Array, table: LineTable, search: NewlineSearch): number {
  table.count = 0;
  search.begin(bytes);
  for (let at = 0; at < bytes.length;) {
    const head = batchHeadAt(bytes, at)!;
    const from = at + batchHeadBytes;
    bytes.fill(10, at, from);
    at += head.bytes;
    const span = { from, to: at, count: head.records, baseOffset: head.baseOffset };
    if (!layLines(bytes, span, { table, search })) throw new Error('the batch is not whole');
  }
  return table.count;
}

function checkAll(bytes: Uint8Array, crc32c: Crc): void {
  for (let at = 0; at < bytes.length;) {
    const head = batchHeadAt(bytes, at)!;
    if (crc32c(bytes, at + crcFromByte, at + head.bytes) !== head.crc) throw new Error('checksum');
    at += head.bytes;
  }
}

type Crc = KafkaCodecs['crc32c'];

const spec = {
  fields: [
    { name: 'ad_id', path: ['ad_id'], type: { kind: 'string' }, nullable: false },
    { name: 'n', path: ['n'], type: { kind: 'int32' }, nullable: false },
  ],
  timeField: -1,
  equals: [],
  timeAheadMsMax: 0,
} as const;

export async function run({ json }: BenchOptions): Promise<void> {
  const original = fetched();
  const bytes = new Uint8Array(original.length);
  const table = new LineTable();
  const search = new NewlineSearch();
  const scanner = compileJsonScanner(spec);
  const { crc32c } = socketPlatform.codecs;
  const layMs: number[] = [];
  const scanMs: number[] = [];
  const crcMs: number[] = [];
  for (let round = -3; round < rounds; round++) {
    bytes.set(original);
    const beginMs = performance.now();
    checkAll(bytes, crc32c);
    const checkedMs = performance.now();
    const laid = layAll(bytes, table, search);
    const laidMs = performance.now();
    let scanned = 0;
    for (let at = 0; at < bytes.length; at = scanner.position) {
      scanned += scanner.scan(bytes, at, bytes.length, 0);
    }
    const endMs = performance.now();
    if (laid !== scanned) throw new Error(`laid ${laid} records and scanned ${scanned}`);
    if (round < 0) continue;
    crcMs.push(checkedMs - beginMs);
    layMs.push(laidMs - checkedMs);
    scanMs.push(endMs - laidMs);
  }
  const rate = (ms: readonly number[]) => spread(ms.map((each) => recordCount / each / 1000));
  const megabytes = (ms: readonly number[]) => spread(ms.map((each) => bytes.length / each / 1000));
  const figures = {
    layMillionRecordsPerSecond: rate(layMs),
    layMegabytesPerSecond: megabytes(layMs),
    scanMillionRecordsPerSecond: rate(scanMs),
    checksumMegabytesPerSecond: megabytes(crcMs),
  };
  print(
    [
      `${recordCount} records of 250 bytes in batches of ${recordsPerBatch}, ${rounds} rounds`,
      `lines laid  ${spreadText(figures.layMillionRecordsPerSecond)} million records a second`,
      `            ${spreadText(figures.layMegabytesPerSecond, 0)} MB/s`,
      `scan behind ${spreadText(figures.scanMillionRecordsPerSecond)} million records a second`,
      `checksum    ${spreadText(figures.checksumMegabytesPerSecond, 0)} MB/s`,
    ],
    json ? figures : null,
  );
}
