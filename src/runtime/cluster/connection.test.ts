// Connections over real sockets of this machine: what a peer that misbehaves is told to have done.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { test } from 'node:test';
import type { StreamError } from '../../base/stream-error.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import { writeHostMessage } from '../../control/protocol/host-messages.ts';
import { Connection } from './connection.ts';

type Pair = {
  readonly connection: Connection;
  /** The other end, in the test's hands. */
  readonly peer: Socket;
  readonly lost: Promise<StreamError | null>;
  readonly frames: Uint8Array[];
  close(): void;
};

async function pair(timeoutMs: number): Promise<Pair> {
  const accepted = Promise.withResolvers<Socket>();
  const server: Server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const peer = await accepted.promise;
  peer.on('error', () => {
    // The connection under test hangs up.
  });
  const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
  const connection = new Connection({ peer: 'host "b"', socket, allocate, timeoutMs });
  const frames: Uint8Array[] = [];
  const lost = Promise.withResolvers<StreamError | null>();
  connection.open(() => 5);
  connection.listen({ onFrame: (frame) => frames.push(frame), onClosed: lost.resolve });
  const close = (): void => {
    connection.destroy(null);
    peer.destroy();
    server.close();
  };
  return { connection, peer, lost: lost.promise, frames, close };
}

function framed(bytes: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function ping(): Uint8Array {
  const writer = new ByteWriter();
  writeHostMessage(writer, { kind: 'ping', sentMs: 1 });
  return framed(Buffer.concat(writer.finish()));
}

test('a peer that talks but does not read is lost after the bound, by name', async () => {
  const { connection, peer, lost, close } = await pair(400);
  peer.pause();
  const talking = setInterval(() => peer.write(ping()), 50);
  const block = new Uint8Array(1 << 20);
  // Far more than the system's buffers hold.
  for (let index = 0; index < 64; index++) connection.send([block]);
  const error = await lost;
  clearInterval(talking);
  assert.equal(error?.code, 'peer-stalled');
  assert.match(error.message, /host "b": it has not read for 0\.4 s/);
  assert.equal(error.fields['peer'], 'host "b"');
  close();
});

test('a peer that says nothing is lost after the bound, by name', async () => {
  const { lost, close } = await pair(300);
  const error = await lost;
  assert.equal(error?.code, 'peer-silent');
  assert.match(error.message, /host "b": it has said nothing for 0\.3 s/);
  close();
});

test('a frame that is too long, or empty, is refused before it is there', async () => {
  for (const length of [0xffffffff, 0]) {
    const { peer, lost, close } = await pair(5_000);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    peer.write(head);
    const error = await lost;
    assert.equal(error?.code, 'malformed-frame');
    assert.match(error.message, new RegExp(`host "b": a frame of ${length} bytes`));
    close();
  }
});

test('a peer that sends on and on before it is let in is refused', async () => {
  const accepted = Promise.withResolvers<Socket>();
  const server: Server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const peer = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  peer.on('error', () => {
    // The connection under test hangs up.
  });
  const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
  const socket = await accepted.promise;
  const connection = new Connection({ peer: 'a stranger', socket, allocate, timeoutMs: 5_000 });
  assert.equal((await Promise.all([connection.next(5_000), sendMany(peer)]))[0].length, 3);
  await new Promise((resolve) => peer.once('close', resolve));
  const lost = Promise.withResolvers<StreamError | null>();
  connection.listen({ onFrame: () => {}, onClosed: lost.resolve });
  assert.equal((await lost.promise)?.code, 'malformed-frame');
  server.close();
});

function sendMany(peer: Socket): void {
  for (let index = 0; index < 200; index++) peer.write(framed(Uint8Array.of(1, 2, 3)));
}

test('a peer that hangs up is lost; one that this side ends is not', async () => {
  const left = await pair(5_000);
  left.peer.destroy();
  assert.equal((await left.lost)?.code, 'peer-closed');
  left.close();
  const ended = await pair(5_000);
  ended.connection.end();
  ended.peer.end();
  assert.equal(await ended.lost, null);
  ended.close();
});

test('frames arrive whole and in order although the peer reads slowly', async () => {
  const { connection, peer, close } = await pair(5_000);
  const received: Buffer[] = [];
  let bytes = 0;
  peer.on('data', (chunk: Buffer) => {
    received.push(chunk);
    bytes += chunk.length;
    peer.pause();
    setImmediate(() => peer.resume());
  });
  const sent = Array.from({ length: 40 }, (_, index) => new Uint8Array(200_001).fill(index));
  for (const frame of sent) connection.send([frame.subarray(0, 7), frame.subarray(7)]);
  const expected = Buffer.concat(sent.map(framed));
  while (bytes < expected.length) await new Promise((resolve) => setTimeout(resolve, 10));
  // Heartbeats may follow, not come between.
  assert.ok(Buffer.concat(received).subarray(0, expected.length).equals(expected));
  close();
});

test('pings are answered with the time of this side', async () => {
  const { peer, frames, close } = await pair(5_000);
  const answered = new Promise<Buffer>((resolve) => peer.once('data', resolve));
  peer.write(ping());
  const answer = await answered;
  assert.equal(answer[4], 14);
  assert.equal(answer.readDoubleLE(5), 1);
  assert.equal(answer.readDoubleLE(13), 5);
  assert.deepEqual(frames, []);
  close();
});
