// What the processes of a cluster say to each other around the control plane's messages: envelopes
// that name workers, the job and its code, rows for the client's sinks, heartbeats, the end.
//
// | first byte | frame     | between        | then                                                |
// | ---------- | --------- | -------------- | --------------------------------------------------- |
// | 1          | to-worker | driver → host  | v worker, driver message                            |
// | 2          | to-driver | host → driver  | v worker, worker message                            |
// | 3          | to-peer   | host ↔ host    | v from, v to, peer message                          |
// | 4          | job       | driver → host  | v length, JSON                                      |
// | 5          | need-code | host → driver  |                                                     |
// | 6          | code      | driver → host  | v offset, v length, bytes                           |
// | 7          | joined    | host → driver  | v worker                                            |
// | 8          | commit    | host → driver  | v worker, v commit, v sink, v partition, v since,   |
// |            |           |                | b+1 batch, f64 watermark, zeros up to 8, rows       |
// | 9          | committed | driver → host  | v worker, v commit, u8 failed, error                |
// | 10         | closed    | host → driver  | v worker                                            |
// | 11         | failed    | host → driver  | v worker + 1 (0: the host itself), error            |
// | 12         | peer-lost | host → driver  | text host, error                                    |
// | 13         | ping      | any            | f64 sender's time                                   |
// | 14         | pong      | any            | f64 time of the ping, f64 answerer's time           |
// | 15         | end       | driver → host  | u8 failed, error                                    |
// | 16         | host-added| driver → host  | text entry                                          |
// | 17         | returned  | host → driver  | text JSON: which workers it brings                  |
// | 18         | start-over| driver → host  | error                                               |
// | 19         | host-removed | driver → host | text host                                         |

import { unreachable } from '../../base/assert.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import {
  codeBytesMax,
  codeChunkBytes,
  jobTextBytesMax,
  partitionsMax,
  stagesMax,
  textBytesMax,
  workersMax,
} from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readError, writeError } from './error-codec.ts';
import type { BatchNumber, PlacementVersion, WorkerId } from './ids.ts';

export type HostMessage =
  | {
      readonly kind: 'to-worker' | 'to-driver';
      readonly worker: WorkerId;
      /** A message of the control plane, encoded. */
      readonly message: Uint8Array;
    }
  | { readonly kind: 'job'; readonly text: string }
  | { readonly kind: 'need-code' }
  | { readonly kind: 'code'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'joined'; readonly worker: WorkerId }
  | {
      readonly kind: 'commit';
      readonly worker: WorkerId;
      readonly commit: number;
      /** Index among the plan's sinks. */
      readonly sink: number;
      readonly partition: number;
      /** The placement since which the worker has the partition. */
      readonly since: PlacementVersion;
      readonly batch: BatchNumber;
      readonly watermarkMs: number;
      readonly rows: Uint8Array;
    }
  | {
      readonly kind: 'committed';
      readonly worker: WorkerId;
      readonly commit: number;
      readonly error: StreamErrorData | null;
    }
  | { readonly kind: 'closed'; readonly worker: WorkerId }
  | {
      readonly kind: 'failed';
      /** Null: the host itself. */
      readonly worker: WorkerId | null;
      readonly error: StreamErrorData;
    }
  | { readonly kind: 'peer-lost'; readonly host: string; readonly error: StreamErrorData }
  | { readonly kind: 'ping'; readonly sentMs: number }
  | { readonly kind: 'pong'; readonly sentMs: number; readonly nowMs: number }
  | { readonly kind: 'end'; readonly error: StreamErrorData | null }
  | {
      /** Another host has come while the job runs: the JSON of its entry. */
      readonly kind: 'host-added';
      readonly text: string;
    }
  | {
      /** The host worked for a driver before: the JSON of what it brings. */
      readonly kind: 'returned';
      readonly text: string;
    }
  | {
      /** What the host's workers have is of no use any more: it begins as a new one. */
      readonly kind: 'start-over';
      readonly error: StreamErrorData;
    }
  /** It is lost for good: nobody need wait for it, or listen to it. */
  | { readonly kind: 'host-removed'; readonly host: string };

/** A frame from a worker to another: opened by the receiver's thread, routed by its numbers. */
export const toPeerKind = 3;
/** Answered before anything else is looked at. */
export const pingKind = 13;

export function writePeerEnvelope(to: ByteWriter, from: WorkerId, target: WorkerId): void {
  to.u8(toPeerKind);
  to.varint(from);
  to.varint(target);
}

/** The numbers of a peer envelope, and a reader that stands at its message. */
export function readPeerEnvelope(frame: Uint8Array): Decoded<{
  readonly from: WorkerId;
  readonly to: WorkerId;
  readonly message: ByteReader;
}> {
  const reader = new ByteReader(frame);
  if (reader.u8('frame kind') !== toPeerKind) reader.refuse('unknown-kind', 'frame kind');
  const from = reader.varint('worker', workersMax) as WorkerId;
  const to = reader.varint('worker', workersMax) as WorkerId;
  if (reader.ok) return { ok: true, value: { from, to, message: reader } };
  return reader.finish(undefined as never);
}

/** The worker for whom a frame from the driver is; null: for the host itself. */
export function readFrameTarget(frame: Uint8Array): WorkerId | null {
  if (frame[0] !== kinds['to-worker'] && frame[0] !== kinds.committed) return null;
  const reader = new ByteReader(frame);
  reader.u8('frame kind');
  const worker = reader.varint('worker', workersMax) as WorkerId;
  return reader.ok ? worker : null;
}

export function writeHostMessage(to: ByteWriter, message: HostMessage): void {
  to.u8(kinds[message.kind]);
  switch (message.kind) {
    case 'to-worker':
    case 'to-driver':
      to.varint(message.worker);
      return to.raw(message.message);
    case 'job':
      return to.text(message.text, jobTextBytesMax);
    case 'need-code':
      return;
    case 'code':
      to.varint(message.offset);
      return to.bytes(message.bytes);
    case 'joined':
    case 'closed':
      return to.varint(message.worker);
    case 'commit':
      to.varint(message.worker);
      to.varint(message.commit);
      to.varint(message.sink);
      to.varint(message.partition);
      to.varint(message.since);
      to.varint(message.batch + 1);
      to.f64(message.watermarkMs);
      to.align();
      return to.raw(message.rows);
    case 'committed':
      to.varint(message.worker);
      to.varint(message.commit);
      return writeOptionalError(to, message.error);
    case 'failed':
      to.varint(message.worker === null ? 0 : message.worker + 1);
      return writeError(to, message.error);
    case 'peer-lost':
      to.text(message.host, textBytesMax);
      return writeError(to, message.error);
    case 'ping':
      return to.f64(message.sentMs);
    case 'pong':
      to.f64(message.sentMs);
      return to.f64(message.nowMs);
    case 'end':
      return writeOptionalError(to, message.error);
    case 'host-added':
      return to.text(message.text, textBytesMax);
    case 'returned':
      return to.text(message.text, jobTextBytesMax);
    case 'start-over':
      return writeError(to, message.error);
    case 'host-removed':
      return to.text(message.host, textBytesMax);
    default:
      unreachable(message);
  }
}

const kinds: { readonly [Kind in HostMessage['kind']]: number } = {
  'to-worker': 1,
  'to-driver': 2,
  job: 4,
  'need-code': 5,
  code: 6,
  joined: 7,
  commit: 8,
  committed: 9,
  closed: 10,
  failed: 11,
  'peer-lost': 12,
  ping: pingKind,
  pong: 14,
  end: 15,
  'host-added': 16,
  returned: 17,
  'start-over': 18,
  'host-removed': 19,
};

export function readHostMessage(frame: Uint8Array): Decoded<HostMessage> {
  const from = new ByteReader(frame);
  switch (from.u8('frame kind')) {
    case 1:
      return from.finish({ kind: 'to-worker', worker: readWorker(from), message: from.rest() });
    case 2:
      return from.finish({ kind: 'to-driver', worker: readWorker(from), message: from.rest() });
    case 4:
      return from.finish({ kind: 'job', text: from.text('job', jobTextBytesMax) });
    case 5:
      return from.finish({ kind: 'need-code' });
    case 6: {
      const offset = from.varint('code offset', codeBytesMax);
      return from.finish({ kind: 'code', offset, bytes: from.bytes('code', codeChunkBytes) });
    }
    case 7:
      return from.finish({ kind: 'joined', worker: readWorker(from) });
    case 8:
      return readCommit(from);
    case 9: {
      const worker = readWorker(from);
      const commit = from.varint('commit');
      return from.finish({ kind: 'committed', worker, commit, error: readOptionalError(from) });
    }
    case 10:
      return from.finish({ kind: 'closed', worker: readWorker(from) });
    case 11: {
      const number = from.varint('worker', workersMax);
      const worker = number === 0 ? null : ((number - 1) as WorkerId);
      return from.finish({ kind: 'failed', worker, error: readError(from) });
    }
    case 12: {
      const host = from.text('host', textBytesMax);
      return from.finish({ kind: 'peer-lost', host, error: readError(from) });
    }
    case pingKind:
      return from.finish({ kind: 'ping', sentMs: from.f64('time') });
    case 14: {
      const sentMs = from.f64('time');
      return from.finish({ kind: 'pong', sentMs, nowMs: from.f64('time') });
    }
    case 15:
      return from.finish({ kind: 'end', error: readOptionalError(from) });
    case 16:
      return from.finish({ kind: 'host-added', text: from.text('host', textBytesMax) });
    case 17:
      return from.finish({ kind: 'returned', text: from.text('host', jobTextBytesMax) });
    case 18:
      return from.finish({ kind: 'start-over', error: readError(from) });
    case 19:
      return from.finish({ kind: 'host-removed', host: from.text('host', textBytesMax) });
    default:
      from.refuse('unknown-kind', 'frame kind');
      return from.finish(undefined as never);
  }
}

function readCommit(from: ByteReader): Decoded<HostMessage> {
  const worker = readWorker(from);
  const commit = from.varint('commit');
  const sink = from.varint('sink', stagesMax);
  const partition = from.varint('partition', partitionsMax);
  const since = from.varint('placement version') as PlacementVersion;
  const batch = (from.varint('micro-batch') - 1) as BatchNumber;
  const watermarkMs = from.f64('watermark');
  from.align('padding');
  const rows = from.rest();
  return from.finish({
    kind: 'commit',
    worker,
    commit,
    sink,
    partition,
    since,
    batch,
    watermarkMs,
    rows,
  });
}

function readWorker(from: ByteReader): WorkerId {
  return from.varint('worker', workersMax) as WorkerId;
}

function writeOptionalError(to: ByteWriter, error: StreamErrorData | null): void {
  to.flag(error !== null);
  if (error !== null) writeError(to, error);
}

function readOptionalError(from: ByteReader): StreamErrorData | null {
  return from.flag('failed') ? readError(from) : null;
}
