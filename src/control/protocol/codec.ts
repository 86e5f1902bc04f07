// The bytes of what drivers and workers say to each other; the table of all frames is in
// docs/protocol.md. Decoding gives a value or a typed refusal and never throws. Handles are opaque
// here: the runtime gives a `HandleCodec` for gauges and one for what tasks send.
//
// v: varint · b+1: varint of a micro-batch number plus one · f64, u8: fixed · text: v length, UTF-8
//
// | first byte | message            | then                                                       |
// | ---------- | ------------------ | ---------------------------------------------------------- |
// | 1          | install-template   | v term, template                                           |
// | 2          | start-group        | v term, v version, v group, b+1 first, v count, f64        |
// |            |                    | interval, f64 anchor, b+1 reportAt, b+1 retire, u8 final,  |
// |            |                    | v stage + 1 (0: all)                                       |
// | 3          | ask-cut            | v term, v cut, b+1 from                                    |
// | 4          | set-boundary       | v term, v cut, b+1 end                                     |
// | 5          | stop               | v term                                                     |
// | 6          | locations          | v term, b+1 batch, v exchange, v count, v each worker      |
// | 16         | template-installed | v term, v incarnation, v version                           |
// | 17         | report             | v term, v incarnation, report                              |
// | 18         | cut-answer         | v term, v incarnation, v cut, b+1 from                     |
// | 19         | task-failed        | v term, v incarnation, task, error                         |
// | 20         | stopped            | v term, v incarnation, gauges                              |
// | 21         | stage-done         | v term, v incarnation, v stage, b+1 batch                  |
// | 22         | ask-locations      | v term, v incarnation, b+1 batch, v exchange               |
// | 32         | blocks             | v term, v incarnation, v version, b+1 batch, v exchange,   |
// |            |                    | v count, then for each: v producer, v part, u8 last,       |
// |            |                    | output                                                     |
// | 33         | progress           | v term, v incarnation, b+1 done                            |
// | 34         | pull               | v term, v incarnation, b+1 batch, v exchange               |

import { unreachable } from '../../base/assert.ts';
import {
  groupSizeMax,
  makespansPerReportMax,
  partitionsMax,
  stagesMax,
  workersMax,
} from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readError, writeError } from './error-codec.ts';
import type { BatchNumber, GroupId, Incarnation, PlacementVersion, Term, WorkerId } from './ids.ts';
import type {
  BlockEntry,
  DriverMessage,
  Handle,
  PeerMessage,
  Report,
  TaskName,
  WorkerMessage,
} from './messages.ts';
import { readNumbers, readTemplate, writeNumbers, writeTemplate } from './template-codec.ts';

/** How the runtime writes and reads what is opaque to the control plane. `read` never throws. */
export type HandleCodec = {
  readonly write: (to: ByteWriter, handle: Handle) => void;
  readonly read: (from: ByteReader) => Handle;
};

export function writeDriverMessage(to: ByteWriter, message: DriverMessage): void {
  switch (message.kind) {
    case 'install-template':
      to.u8(1);
      to.varint(message.term);
      return writeTemplate(to, message.template);
    case 'start-group':
      to.u8(2);
      to.varint(message.term);
      to.varint(message.version);
      to.varint(message.group);
      writeBatchNumber(to, message.first);
      to.varint(message.count);
      to.f64(message.intervalMs);
      to.f64(message.anchorMs);
      writeBatchNumber(to, message.reportAt);
      writeBatchNumber(to, message.retireThrough);
      to.flag(message.final);
      return to.varint(message.stage === null ? 0 : message.stage + 1);
    case 'ask-cut':
      to.u8(3);
      to.varint(message.term);
      to.varint(message.cut);
      return writeBatchNumber(to, message.from);
    case 'set-boundary':
      to.u8(4);
      to.varint(message.term);
      to.varint(message.cut);
      return writeBatchNumber(to, message.end);
    case 'stop':
      to.u8(5);
      return to.varint(message.term);
    case 'locations':
      to.u8(6);
      to.varint(message.term);
      writeBatchNumber(to, message.batch);
      to.varint(message.exchange);
      return writeNumbers(to, message.workers);
    default:
      unreachable(message);
  }
}

export function readDriverMessage(bytes: Uint8Array): Decoded<DriverMessage> {
  const from = new ByteReader(bytes);
  const kind = from.u8('message kind');
  const term = from.varint('term') as Term;
  switch (kind) {
    case 1:
      return from.finish({ kind: 'install-template', term, template: readTemplate(from) });
    case 2:
      return from.finish({
        kind: 'start-group',
        term,
        version: from.varint('placement version') as PlacementVersion,
        group: from.varint('group') as GroupId,
        first: readBatchNumber(from, 'first micro-batch'),
        count: from.varint('micro-batches', groupSizeMax),
        intervalMs: readDuration(from, 'interval'),
        anchorMs: readFinite(from, 'anchor'),
        reportAt: readBatchNumber(from, 'micro-batch to report at'),
        retireThrough: readBatchNumber(from, 'micro-batch to retire'),
        final: from.flag('final'),
        stage: readStageOrAll(from),
      });
    case 3: {
      const cut = from.varint('cut');
      return from.finish({ kind: 'ask-cut', term, cut, from: readBatchNumber(from, 'cut') });
    }
    case 4: {
      const cut = from.varint('cut');
      return from.finish({ kind: 'set-boundary', term, cut, end: readBatchNumber(from, 'end') });
    }
    case 5:
      return from.finish({ kind: 'stop', term });
    case 6: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      const workers = readNumbers(from, 'workers', { count: workersMax, value: workersMax });
      return from.finish({
        kind: 'locations',
        term,
        batch,
        exchange,
        workers: workers as readonly WorkerId[],
      });
    }
    default:
      return unknownKind(from);
  }
}

export function writeWorkerMessage(
  to: ByteWriter,
  message: WorkerMessage,
  gauges: HandleCodec,
): void {
  to.u8(workerKinds[message.kind]);
  to.varint(message.term);
  to.varint(message.incarnation);
  switch (message.kind) {
    case 'template-installed':
      return to.varint(message.version);
    case 'report':
      return writeReport(to, message.report, gauges);
    case 'cut-answer':
      to.varint(message.cut);
      return writeBatchNumber(to, message.from);
    case 'task-failed':
      writeTask(to, message.task);
      return writeError(to, message.error);
    case 'stopped':
      return gauges.write(to, message.gauges);
    case 'stage-done':
      to.varint(message.stage);
      return writeBatchNumber(to, message.batch);
    case 'ask-locations':
      writeBatchNumber(to, message.batch);
      return to.varint(message.exchange);
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
};

export function readWorkerMessage(bytes: Uint8Array, gauges: HandleCodec): Decoded<WorkerMessage> {
  const from = new ByteReader(bytes);
  const kind = from.u8('message kind');
  const term = from.varint('term') as Term;
  const incarnation = from.varint('incarnation') as Incarnation;
  switch (kind) {
    case 16: {
      const version = from.varint('placement version') as PlacementVersion;
      return from.finish({ kind: 'template-installed', term, incarnation, version });
    }
    case 17: {
      const report = readReport(from, gauges);
      return from.finish({ kind: 'report', term, incarnation, report });
    }
    case 18: {
      const cut = from.varint('cut');
      const batch = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'cut-answer', term, incarnation, cut, from: batch });
    }
    case 19: {
      const task = readTask(from);
      const error = readError(from);
      return from.finish({ kind: 'task-failed', term, incarnation, task, error });
    }
    case 20: {
      const last = gauges.read(from);
      return from.finish({ kind: 'stopped', term, incarnation, gauges: last });
    }
    case 21: {
      const stage = from.varint('stage', stagesMax);
      const batch = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'stage-done', term, incarnation, stage, batch });
    }
    case 22: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      return from.finish({ kind: 'ask-locations', term, incarnation, batch, exchange });
    }
    default:
      return unknownKind(from);
  }
}

export function writePeerMessage(to: ByteWriter, message: PeerMessage, outputs: HandleCodec): void {
  to.u8(peerKinds[message.kind]);
  to.varint(message.term);
  to.varint(message.incarnation);
  switch (message.kind) {
    case 'blocks':
      to.varint(message.version);
      writeBatchNumber(to, message.batch);
      to.varint(message.exchange);
      to.varint(message.entries.length);
      for (const { producer, part, last, output } of message.entries) {
        to.varint(producer);
        to.varint(part);
        to.flag(last);
        outputs.write(to, output);
      }
      return;
    case 'progress':
      return writeBatchNumber(to, message.doneThrough);
    case 'pull':
      writeBatchNumber(to, message.batch);
      return to.varint(message.exchange);
    default:
      unreachable(message);
  }
}

const peerKinds: { readonly [Kind in PeerMessage['kind']]: number } = {
  blocks: 32,
  progress: 33,
  pull: 34,
};

export function readPeerMessage(bytes: Uint8Array, outputs: HandleCodec): Decoded<PeerMessage> {
  return readPeerMessageFrom(new ByteReader(bytes), outputs);
}

/** As `readPeerMessage`, behind what an envelope has read: blocks are aligned in the frame. */
export function readPeerMessageFrom(from: ByteReader, outputs: HandleCodec): Decoded<PeerMessage> {
  const kind = from.u8('message kind');
  const term = from.varint('term') as Term;
  const incarnation = from.varint('incarnation') as Incarnation;
  switch (kind) {
    case 32:
      return readBlocks(from, { term, incarnation }, outputs);
    case 33: {
      const doneThrough = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'progress', term, incarnation, doneThrough });
    }
    case 34: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      return from.finish({ kind: 'pull', term, incarnation, batch, exchange });
    }
    default:
      return unknownKind(from);
  }
}

function readBlocks(
  from: ByteReader,
  life: { readonly term: Term; readonly incarnation: Incarnation },
  outputs: HandleCodec,
): Decoded<PeerMessage> {
  const version = from.varint('placement version') as PlacementVersion;
  const batch = readBatchNumber(from, 'micro-batch');
  const exchange = from.varint('exchange', stagesMax);
  const entries: BlockEntry[] = [];
  const count = from.count('producers', partitionsMax);
  for (let index = 0; index < count && from.ok; index++) {
    const producer = from.varint('producer', partitionsMax);
    const part = from.varint('part');
    const last = from.flag('last part');
    entries.push({ producer, part, last, output: outputs.read(from) });
  }
  return from.finish({ kind: 'blocks', ...life, version, batch, exchange, entries });
}

function writeReport(to: ByteWriter, report: Report, gauges: HandleCodec): void {
  writeBatchNumber(to, report.startedThrough);
  writeBatchNumber(to, report.doneThrough);
  to.varint(report.ended.length);
  for (const task of report.ended) writeTask(to, task);
  to.varint(report.makespansMs.length);
  for (const makespanMs of report.makespansMs) to.f64(makespanMs);
  to.f64(report.busyMs);
  to.varint(report.tasksRun);
  to.varint(report.queued);
  gauges.write(to, report.gauges);
}

function readReport(from: ByteReader, gauges: HandleCodec): Report {
  const startedThrough = readBatchNumber(from, 'started micro-batch');
  const doneThrough = readBatchNumber(from, 'finished micro-batch');
  const ended: TaskName[] = [];
  const endedCount = from.count('ended sources', partitionsMax);
  for (let index = 0; index < endedCount && from.ok; index++) ended.push(readTask(from));
  const makespansMs: number[] = [];
  const makespanCount = from.count('makespans', makespansPerReportMax);
  for (let index = 0; index < makespanCount && from.ok; index++) {
    makespansMs.push(readFinite(from, 'makespan'));
  }
  return {
    startedThrough,
    doneThrough,
    ended,
    makespansMs,
    busyMs: readDuration(from, 'busy time'),
    tasksRun: from.varint('tasks'),
    queued: from.varint('queued tasks'),
    gauges: gauges.read(from),
  };
}

function readStageOrAll(from: ByteReader): number | null {
  const number = from.varint('stage', stagesMax);
  return number === 0 ? null : number - 1;
}

function writeTask(to: ByteWriter, { stage, partition, batch }: TaskName): void {
  to.varint(stage);
  to.varint(partition);
  writeBatchNumber(to, batch);
}

function readTask(from: ByteReader): TaskName {
  const stage = from.varint('stage', stagesMax);
  const partition = from.varint('partition', partitionsMax);
  return { stage, partition, batch: readBatchNumber(from, 'micro-batch') };
}

/** `noBatch`, which is -1, is 0 on the wire. */
function writeBatchNumber(to: ByteWriter, batch: BatchNumber): void {
  to.varint(batch + 1);
}

function readBatchNumber(from: ByteReader, what: string): BatchNumber {
  return (from.varint(what) - 1) as BatchNumber;
}

function readDuration(from: ByteReader, what: string): number {
  const value = readFinite(from, what);
  if (value >= 0) return value;
  from.refuse('out-of-range', what);
  return 0;
}

function readFinite(from: ByteReader, what: string): number {
  const value = from.f64(what);
  if (Number.isFinite(value)) return value;
  from.refuse('out-of-range', what);
  return 0;
}

function unknownKind<T>(from: ByteReader): Decoded<T> {
  from.refuse('unknown-kind', 'message kind');
  // The refusal is what is given; there is no value.
  return from.finish(undefined as T);
}
