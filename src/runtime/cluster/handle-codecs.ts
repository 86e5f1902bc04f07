// The bytes of what is opaque to the control plane: blocks with their header, ranges, snapshots and
// gauges.

import type { HandleCodec, MessageCodecs } from '../../control/protocol/handle-codec.ts';
import type { ByteReader } from '../../control/protocol/byte-reader.ts';
import {
  batchNumberMax,
  partitionsMax,
  snapshotObjectsMax,
  textBytesMax,
} from '../../control/limits.ts';
import type { SourceOffset, WorkerGauges } from '../../observe/gauges.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import { outputCodec } from '../host/output-codec.ts';
import { rangeCodec } from '../host/range-codec.ts';
import type { SnapshotHandle, SnapshotObject } from '../host/snapshot-handle.ts';

/** Sources are numbers in the order of the plan's. */
export function messageCodecs(sources: readonly SourceId[]): MessageCodecs {
  return {
    output: outputCodec,
    gauges: gaugesCodec,
    range: rangeCodec(sources),
    snapshot: snapshotCodec,
  };
}

/** For `SnapshotHandle`. */
const snapshotCodec: HandleCodec = {
  write: (to, handle) => {
    const { objects } = handle as SnapshotHandle;
    to.varint(objects.length);
    for (const { key, bytes, crc32, kind, batch } of objects) {
      to.text(key, textBytesMax);
      to.varint(bytes);
      to.u32(crc32);
      to.flag(kind === 'delta');
      to.varint(batch + 1);
    }
  },
  read: (from): SnapshotHandle => {
    const objects: SnapshotObject[] = [];
    const count = from.count('snapshot objects', snapshotObjectsMax);
    for (let index = 0; index < count && from.ok; index++) {
      objects.push({
        key: from.text('object key', textBytesMax),
        bytes: from.varint('object bytes'),
        crc32: from.u32('checksum'),
        kind: from.flag('delta') ? 'delta' : 'base',
        batch: from.varint('micro-batch', batchNumberMax + 1) - 1,
      });
    }
    return { objects };
  },
};

/** For `WorkerGauges`, and null before they were measured. */
const gaugesCodec: HandleCodec = {
  write: (to, handle) => {
    const gauges = handle as WorkerGauges | null;
    to.flag(gauges !== null);
    if (gauges === null) return;
    for (const name of counts) to.f64(gauges[name]);
    for (const name of lags) {
      const value = gauges[name];
      to.flag(value !== null);
      to.f64(value ?? 0);
    }
    to.varint(gauges.offsets.length);
    for (const { source, partition, to: end } of gauges.offsets) {
      to.text(source, textBytesMax);
      to.varint(partition);
      to.f64(end);
    }
  },
  read: (from): WorkerGauges | null => {
    if (!from.flag('gauges')) return null;
    const [recordsIn, recordsBad, recordsLate, bytesIn, rowsOut, watermarkMs, stateBytes, heap] =
      counts.map((name) => from.f64(name));
    const [lagRecords, lagBytes, lagMs] = lags.map((name) => {
      const known = from.flag(name);
      const value = from.f64(name);
      return known ? value : null;
    });
    return {
      recordsIn: recordsIn!,
      recordsBad: recordsBad!,
      recordsLate: recordsLate!,
      bytesIn: bytesIn!,
      rowsOut: rowsOut!,
      watermarkMs: watermarkMs!,
      lagRecords: lagRecords!,
      lagBytes: lagBytes!,
      lagMs: lagMs!,
      stateBytes: stateBytes!,
      heapBytes: heap!,
      offsets: readOffsets(from),
    };
  },
};

const counts = [
  'recordsIn',
  'recordsBad',
  'recordsLate',
  'bytesIn',
  'rowsOut',
  'watermarkMs',
  'stateBytes',
  'heapBytes',
] as const;
const lags = ['lagRecords', 'lagBytes', 'lagMs'] as const;

function readOffsets(from: ByteReader): readonly SourceOffset[] {
  const offsets: SourceOffset[] = [];
  const count = from.count('offsets', partitionsMax);
  for (let index = 0; index < count && from.ok; index++) {
    const source = from.text('source', textBytesMax);
    const partition = from.varint('partition', partitionsMax);
    offsets.push({ source, partition, to: from.f64('offset') });
  }
  return offsets;
}
