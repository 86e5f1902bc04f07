// The other side of the measurement of message costs: a process that holds many connections to the
// measuring one, takes orders and sends reports as hosts do. Echoes go through a thread of its own,
// as messages to and from a worker do.

import { connect } from 'node:net';
import type { Socket } from 'node:net';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { ByteWriter } from '../../src/control/protocol/byte-writer.ts';
import { readDriverMessage } from '../../src/control/protocol/driver-codec.ts';
import { writeWorkerMessage } from '../../src/control/protocol/worker-codec.ts';
import { readHostMessage } from '../../src/control/protocol/host-messages.ts';
import type { WorkerId } from '../../src/control/protocol/ids.ts';
import { Connection } from '../../src/runtime/cluster/connection.ts';
import { codecs, report } from './costs-messages.ts';

export type ToPeer =
  | { readonly kind: 'dial'; readonly port: number; readonly count: number }
  | { readonly kind: 'flood'; readonly rounds: number }
  | { readonly kind: 'take'; readonly frames: number }
  /** Since it was last asked, or began something. */
  | { readonly kind: 'used' };

export type FromPeer =
  | { readonly kind: 'dialled' }
  /** What the processor did for it, user and system, ms. */
  | { readonly kind: 'done'; readonly cpuMs: number };

const connections: Connection[] = [];
const thread = new Worker(
  `const { parentPort } = require('node:worker_threads');
  parentPort.on('message', (frames) => parentPort.postMessage(frames));`,
  { eval: true },
);
thread.on('message', () => sendReport(connections[0]!, 1 as WorkerId));
thread.unref();
let awaited = 0;
let cpuBefore = process.cpuUsage();

function tell(message: FromPeer): void {
  process.send!(message);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage(cpuBefore);
  return (user + system) / 1000;
}

function onFrame(frame: Uint8Array): void {
  const decoded = readHostMessage(frame);
  if (!decoded.ok || decoded.value.kind !== 'to-worker') return;
  const order = readDriverMessage(decoded.value.message, codecs);
  if (!order.ok) throw new Error('an order cannot be read');
  // An order to stop, here, asks for an echo.
  if (order.value.kind === 'stop') return thread.postMessage([frame]);
  if (--awaited === 0) tell({ kind: 'done', cpuMs: cpuMs() });
}

function sendReport(connection: Connection, worker: WorkerId): void {
  const writer = new ByteWriter();
  writeWorkerMessage(writer, report, codecs);
  connection.tell({ kind: 'to-driver', worker, message: Buffer.concat(writer.finish()) });
}

async function dial(port: number, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const dialled = connect({ port, host: '127.0.0.1' }, () => resolve(dialled));
      dialled.once('error', reject);
    });
    const connection = new Connection({
      peer: 'the measuring process',
      socket,
      allocate: (bytes) => new Uint8Array(bytes),
      timeoutMs: 60_000,
    });
    connection.listen({
      onFrame,
      onClosed: () => {
        if (process.connected) process.disconnect();
      },
    });
    connections.push(connection);
  }
  tell({ kind: 'dialled' });
}

/** One report on each connection a turn, as from so many hosts. */
async function flood(rounds: number): Promise<void> {
  cpuBefore = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    for (const [index, connection] of connections.entries()) {
      sendReport(connection, (index + 1) as WorkerId);
    }
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  tell({ kind: 'done', cpuMs: cpuMs() });
}

process.on('message', (message: ToPeer) => {
  if (message.kind === 'dial') void dial(message.port, message.count);
  else if (message.kind === 'flood') void flood(message.rounds);
  else if (message.kind === 'used') {
    tell({ kind: 'done', cpuMs: cpuMs() });
    cpuBefore = process.cpuUsage();
  } else {
    awaited = message.frames;
    cpuBefore = process.cpuUsage();
    tell({ kind: 'dialled' });
  }
});
