// The bytes of what workers say to the driver; the table of all frames is in docs/protocol.md.
// Decoding gives a value or a typed refusal and never throws.
//
// v: varint · b+1: varint of a micro-batch number plus one · f64, u8: fixed · all begin with a byte
// for their kind, v term, v incarnation
//
// | first byte | message            | then                                                       |
// | ---------- | ------------------ | ---------------------------------------------------------- |
// | 16         | template-installed | v version                                                  |
// | 17         | report             | v version, b+1 started, b+1 done, v count, each task that  |
// |            |                    | ended, v count, f64 each makespan, f64 busy, v tasks,      |
// |            |                    | v queued, gauges                                           |
// | 18         | cut-answer         | v cut, b+1 from                                            |
// | 19         | task-failed        | task, error (error-codec.ts)                               |
// | 20         | stopped            | gauges                                                     |
// | 21         | stage-done         | v version, v stage, b+1 batch                              |
// | 22         | ask-locations      | b+1 batch, v exchange                                      |
// | 23         | status             | v round, v version + 1 (0: none), b+1 started, b+1 done,   |
// |            |                    | v count, for each that is owned: place, b+1 next,          |
// |            |                    | u8 ended; known ranges; kept spans                         |
// | 24         | snapshots-stored   | placement version, b+1 batch, snapshots                    |
// | 25         | snapshot-failed    | placement version, b+1 batch, error                        |
//
// Places, tasks, known ranges, spans and snapshots are those of message-fields.ts.

import { unreachable } from '../../base/assert.ts';
import {
  makespansPerReportMax,
  partitionsMax,
  placesMax,
  stagesMax,
  workersMax,
} from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readError, writeError } from './error-codec.ts';
import type { HandleCodec, MessageCodecs } from './handle-codec.ts';
import type { PlacementVersion } from './ids.ts';
import {
  readBatchNumber,
  readDuration,
  readFinite,
  readKnownRanges,
  readLife,
  readList,
  readPlace,
  readSignature,
  readSnapshots,
  readSpans,
  readTask,
  unknownKind,
  writeBatchNumber,
  writeKnownRanges,
  writeLife,
  writeList,
  writePlace,
  writeSignature,
  writeSnapshots,
  writeSpans,
  writeTask,
} from './message-fields.ts';
import type { Pressure, Report, WorkerMessage, WorkerStatus } from './messages.ts';

export function writeWorkerMessage(
  to: ByteWriter,
  message: WorkerMessage,
  codecs: MessageCodecs,
): void {
  to.u8(workerKinds[message.kind]);
  writeSignature(to, message);
  switch (message.kind) {
    case 'template-installed':
      return to.varint(message.version);
    case 'report':
      return writeReport(to, message.report, codecs.gauges);
    case 'cut-answer':
      to.varint(message.cut);
      return writeBatchNumber(to, message.from);
    case 'task-failed':
      writeTask(to, message.task);
      return writeError(to, message.error);
    case 'stopped':
      return codecs.gauges.write(to, message.gauges);
    case 'stage-done':
      to.varint(message.version);
      to.varint(message.stage);
      return writeBatchNumber(to, message.batch);
    case 'ask-locations':
      writeBatchNumber(to, message.batch);
      return to.varint(message.exchange);
    case 'status':
      to.varint(message.round);
      return writeStatus(to, message.status, codecs.range);
    case 'snapshots-stored':
      to.varint(message.version);
      writeBatchNumber(to, message.batch);
      return writeSnapshots(to, message.snapshots, codecs);
    case 'snapshot-failed':
      to.varint(message.version);
      writeBatchNumber(to, message.batch);
      return writeError(to, message.error);
    default:
      unreachable(message);
  }
}

const workerKinds: { readonly [Kind in WorkerMessage['kind']]: number } = {
  'template-installed': 16,
  report: 17,
  'cut-answer': 18,
  'task-failed': 19,
  stopped: 20,
  'stage-done': 21,
  'ask-locations': 22,
  status: 23,
  'snapshots-stored': 24,
  'snapshot-failed': 25,
};

export function readWorkerMessage(
  bytes: Uint8Array,
  codecs: MessageCodecs,
): Decoded<WorkerMessage> {
  const from = new ByteReader(bytes);
  const kind = from.u8('message kind');
  const signed = readSignature(from);
  switch (kind) {
    case 16: {
      const version = from.varint('placement version') as PlacementVersion;
      return from.finish({ kind: 'template-installed', ...signed, version });
    }
    case 17: {
      const report = readReport(from, codecs.gauges);
      return from.finish({ kind: 'report', ...signed, report });
    }
    case 18: {
      const cut = from.varint('cut');
      const batch = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'cut-answer', ...signed, cut, from: batch });
    }
    case 19: {
      const task = readTask(from);
      return from.finish({ kind: 'task-failed', ...signed, task, error: readError(from) });
    }
    case 20:
      return from.finish({ kind: 'stopped', ...signed, gauges: codecs.gauges.read(from) });
    case 21: {
      const version = from.varint('placement version') as PlacementVersion;
      const stage = from.varint('stage', stagesMax);
      const batch = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'stage-done', ...signed, version, stage, batch });
    }
    case 22: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      return from.finish({ kind: 'ask-locations', ...signed, batch, exchange });
    }
    case 23: {
      const round = from.varint('round');
      const status = readStatus(from, codecs.range);
      return from.finish({ kind: 'status', ...signed, round, status });
    }
    case 24: {
      const version = from.varint('placement version') as PlacementVersion;
      const batch = readBatchNumber(from, 'micro-batch');
      const snapshots = readSnapshots(from, codecs);
      return from.finish({ kind: 'snapshots-stored', ...signed, version, batch, snapshots });
    }
    case 25: {
      const version = from.varint('placement version') as PlacementVersion;
      const batch = readBatchNumber(from, 'micro-batch');
      const error = readError(from);
      return from.finish({ kind: 'snapshot-failed', ...signed, version, batch, error });
    }
    default:
      return unknownKind(from);
  }
}

function writeReport(to: ByteWriter, report: Report, gauges: HandleCodec): void {
  to.varint(report.version);
  writeBatchNumber(to, report.startedThrough);
  writeBatchNumber(to, report.doneThrough);
  writeList(to, report.ended, (task) => writeTask(to, task));
  writeList(to, report.makespansMs, (makespanMs) => to.f64(makespanMs));
  to.f64(report.busyMs);
  to.varint(report.tasksRun);
  to.varint(report.queued);
  to.varint(report.keptBytes);
  to.varint(report.spilledBytes);
  to.u8(pressures.indexOf(report.pressure));
  gauges.write(to, report.gauges);
}

function readReport(from: ByteReader, gauges: HandleCodec): Report {
  return {
    version: from.varint('placement version') as PlacementVersion,
    startedThrough: readBatchNumber(from, 'started micro-batch'),
    doneThrough: readBatchNumber(from, 'finished micro-batch'),
    ended: readList(from, { what: 'ended sources', max: partitionsMax }, () => readTask(from)),
    makespansMs: readList(from, { what: 'makespans', max: makespansPerReportMax }, () =>
      readFinite(from, 'makespan'),
    ),
    busyMs: readDuration(from, 'busy time'),
    tasksRun: from.varint('tasks'),
    queued: from.varint('queued tasks'),
    keptBytes: from.varint('kept bytes'),
    spilledBytes: from.varint('spilled bytes'),
    pressure: readPressure(from),
    gauges: gauges.read(from),
  };
}

/** By their numbers on the wire. */
const pressures: readonly Pressure[] = ['none', 'checkpoint', 'hold-back'];

function readPressure(from: ByteReader): Pressure {
  const pressure = pressures[from.u8('pressure')];
  if (pressure === undefined) from.refuse('out-of-range', 'pressure');
  return pressure ?? 'none';
}

function writeStatus(to: ByteWriter, status: WorkerStatus, range: HandleCodec): void {
  to.varint(status.version + 1);
  writeBatchNumber(to, status.startedThrough);
  writeBatchNumber(to, status.doneThrough);
  writeBatchNumber(to, status.finalBatch);
  writeList(to, status.refused, (life) => writeLife(to, life));
  writeList(to, status.owned, (owned) => {
    writePlace(to, owned);
    writeBatchNumber(to, owned.next);
    writeBatchNumber(to, owned.endedAt);
  });
  writeKnownRanges(to, status.ranges, range);
  writeSpans(to, status.kept);
}

function readStatus(from: ByteReader, range: HandleCodec): WorkerStatus {
  return {
    version: (from.varint('placement version') - 1) as PlacementVersion,
    startedThrough: readBatchNumber(from, 'started micro-batch'),
    doneThrough: readBatchNumber(from, 'finished micro-batch'),
    finalBatch: readBatchNumber(from, 'final micro-batch'),
    refused: readList(from, { what: 'refused workers', max: workersMax }, () => readLife(from)),
    owned: readList(from, { what: 'owned partitions', max: placesMax }, () => {
      const place = readPlace(from);
      const next = readBatchNumber(from, 'next micro-batch');
      return { ...place, next, endedAt: readBatchNumber(from, 'last micro-batch') };
    }),
    ranges: readKnownRanges(from, range),
    kept: readSpans(from, 'kept micro-batches'),
  };
}
