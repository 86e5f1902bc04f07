// The entry of a host's worker thread: loads the job's code, then lets a worker shell talk to its
// neighbours on the host directly, and to everybody else in frames through the main thread.

import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { assert, unreachable } from '../../base/assert.ts';
import { errorToData, StreamError } from '../../base/stream-error.ts';
import { frameBytesMax } from '../../control/limits.ts';
import { refusalText } from '../../control/protocol/byte-reader.ts';
import type { Refusal } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import { readDriverMessage } from '../../control/protocol/driver-codec.ts';
import type { PlanSize } from '../../control/protocol/fits-plan.ts';
import { driverMessageFits, peerMessageFits } from '../../control/protocol/fits-plan.ts';
import type { HostMessage } from '../../control/protocol/host-messages.ts';
import {
  readHostMessage,
  readPeerEnvelope,
  toPeerKind,
  writeHostMessage,
  writePeerEnvelope,
} from '../../control/protocol/host-messages.ts';
import type { BatchNumber, WorkerId } from '../../control/protocol/ids.ts';
import type { Peer, PeerMessage, WorkerMessage } from '../../control/protocol/messages.ts';
import { readPeerMessageFrom, writePeerMessage } from '../../control/protocol/peer-codec.ts';
import { writeWorkerMessage } from '../../control/protocol/worker-codec.ts';
import { encodeBatch } from '../../data/columnar/batch-codec.ts';
import { openDurability } from '../host/durable-job.ts';
import { CommitsUnderWay } from '../host/commits-under-way.ts';
import { endThread } from '../host/end-thread.ts';
import { loadJobCode } from '../host/job-code.ts';
import { keepCompiled } from '../host/keep-compiled.ts';
import { RunClock } from '../host/run-clock.ts';
import { sharedPages } from '../host/shared-pages.ts';
import type { ClientCommit } from '../host/worker-shell.ts';
import { WorkerShell } from '../host/worker-shell.ts';
import { resolveEngineModules } from './engine-modules.ts';
import { messageCodecs } from './handle-codecs.ts';
import type { FromHostThread, ThreadData, ToHostThread } from './thread-messages.ts';

assert(parentPort !== null, 'worker-thread runs in a worker thread');
const main: MessagePort = parentPort;
const { worker, incarnation, module, config } = workerData as ThreadData;

const clock = new RunClock(config.clockBase);
const allocate = sharedPages();
const neighbours = new Map<WorkerId, MessagePort>();
const commits = new CommitsUnderWay<HostMessage>();
let sinkNumbers: ReadonlyMap<string, number> = new Map();
let codecs = messageCodecs([]);
let plan: PlanSize = { partitionCounts: [], exchanges: [] };
let shell: WorkerShell | null = null;

function tell(message: FromHostThread): void {
  main.postMessage(message);
}

function fail(error: unknown): void {
  tell({ kind: 'failed', error: errorToData(error) });
}

function send(to: Peer, message: WorkerMessage | PeerMessage): void {
  if (to === 'driver') {
    const inner = new ByteWriter(allocate);
    writeWorkerMessage(inner, message as WorkerMessage, codecs);
    return sendToDriver({ kind: 'to-driver', worker, message: joined(inner.finish()) });
  }
  const neighbour = neighbours.get(to);
  if (neighbour !== undefined) return neighbour.postMessage(message);
  sendToPeer(to, message as PeerMessage);
}

/** One frame; or several, where the blocks of all producers do not fit into one. */
function sendToPeer(to: WorkerId, message: PeerMessage): void {
  const writer = new ByteWriter(allocate);
  writePeerEnvelope(writer, worker, to);
  writePeerMessage(writer, message, codecs);
  if (writer.length <= frameBytesMax) return tell({ kind: 'send', to, frame: writer.finish() });
  if (message.kind === 'blocks' && message.entries.length > 1) {
    for (const entry of message.entries) sendToPeer(to, { ...message, entries: [entry] });
    return;
  }
  fail(
    new StreamError({
      code: 'block-too-large',
      message: `could not send ${writer.length} bytes of one task to worker ${to}`,
      hint: 'let a task read less (`bytesPerTask`) or use more partitions',
      fields: { worker, to },
    }),
  );
}

function sendToDriver(message: HostMessage): void {
  const writer = new ByteWriter(allocate);
  writeHostMessage(writer, message);
  tell({ kind: 'send', to: 'driver', frame: writer.finish() });
}

/** Reports are short and mostly of one piece. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

function commitAtClient({ sink, partition, since, output }: ClientCommit): Promise<void> {
  const { message, visible } = commits.begin((commit) => ({
    kind: 'commit',
    worker,
    commit,
    sink: sinkNumbers.get(sink)!,
    partition,
    since,
    batch: output.batch as BatchNumber,
    watermarkMs: output.watermarkMs,
    rows: encodeBatch(output.rows, allocate),
  }));
  sendToDriver(message);
  return visible;
}

function onFrame(frame: Uint8Array): void {
  if (frame[0] === toPeerKind) return onPeerFrame(frame);
  const decoded = readHostMessage(frame);
  if (!decoded.ok) return fail(malformed('the driver', decoded.refusal));
  const message = decoded.value;
  if (message.kind === 'committed') return commits.settle(message.commit, message.error);
  if (message.kind !== 'to-worker') return;
  const order = readDriverMessage(message.message, codecs);
  if (!order.ok) return fail(malformed('the driver', order.refusal));
  if (driverMessageFits(order.value, plan)) return shell!.receive('driver', order.value);
  fail(malformed('the driver', ofAnotherPlan(order.value.kind)));
}

function onPeerFrame(frame: Uint8Array): void {
  const envelope = readPeerEnvelope(frame);
  if (!envelope.ok) return fail(malformed('a peer', envelope.refusal));
  const { from, message } = envelope.value;
  const decoded = readPeerMessageFrom(message, codecs);
  if (!decoded.ok) return fail(malformed(`worker ${from}`, decoded.refusal));
  if (peerMessageFits(decoded.value, plan)) return shell?.receive(from, decoded.value);
  fail(malformed(`worker ${from}`, ofAnotherPlan(decoded.value.kind)));
}

function ofAnotherPlan(kind: string): Refusal {
  return { reason: 'inconsistent', what: kind, at: 0 };
}

function malformed(from: string, refusal: Refusal): StreamError {
  return new StreamError({
    code: 'malformed-frame',
    message: `could not read a message of ${from}: ${refusalText(refusal)}`,
    hint: 'run the same release of mizzle on all machines',
    fields: { worker },
  });
}

function onMain(message: ToHostThread): void {
  switch (message.kind) {
    case 'frames':
      for (const frame of message.frames) onFrame(frame);
      break;
    case 'neighbour':
      neighbours.set(message.worker, message.port);
      message.port.on('message', (sent: PeerMessage) => shell?.receive(message.worker, sent));
      break;
    case 'clock':
      clock.correct(message.byMs);
      break;
    case 'driver-changed':
      for (const commit of commits.underWay()) sendToDriver(commit);
      break;
    default:
      unreachable(message);
  }
}

async function start(): Promise<void> {
  main.on('message', onMain);
  process.setSourceMapsEnabled(true);
  resolveEngineModules();
  const { pipeline, plan: own } = await loadJobCode(module, Promise.resolve(config));
  plan = { partitionCounts: config.partitionCounts, exchanges: own.exchanges };
  sinkNumbers = new Map(own.sinks.map(({ id }, number) => [id, number]));
  codecs = messageCodecs(own.sources.map(({ id }) => id));
  const { durability } = config;
  const durable = durability && (await openDurability(durability, own.name, () => clock.nowMs()));
  keepCompiled();
  shell = new WorkerShell({
    durable,
    worker,
    incarnation,
    plan: own,
    bindings: pipeline.bindings(),
    config,
    clock,
    send,
    commitAtClient,
    onStopped: () => tell({ kind: 'closed' }),
    onLost: endThread,
    onFatal: fail,
  });
  tell({ kind: 'joined' });
}

start().catch(fail);
