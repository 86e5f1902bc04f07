// However a stream of answers is cut into chunks, the same answers come out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader } from './frame-reader.ts';

const bodies = [4, 5, 300, 70_000, 4, 17].map((length, index) =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => (at * 7 + index) & 255)),
);

test('FrameReader puts answers together whatever the chunks', () => {
  const stream = Buffer.concat(bodies.map(withLength));
  for (const chunkBytes of [1, 2, 3, 5, 8, 9, 100, 4_096, 65_536, stream.length]) {
    const got = framesOf(stream, chunkBytes);
    assert.deepEqual(got, bodies, `chunks of ${chunkBytes} bytes`);
  }
});

test('FrameReader copies no answer that is whole in its chunk', () => {
  const chunk = Buffer.concat(bodies.map(withLength));
  for (const frame of framesOf(chunk, chunk.length)) assert.equal(frame.buffer, chunk.buffer);
});

test('FrameReader refuses what cannot be the length of an answer', () => {
  for (const bytes of ['HTTP/1.1', '\u0000\u0000\u0000\u0003abc', '\u00ff\u00ff\u00ff\u00ffab']) {
    assert.throws(() => framesOf(Buffer.from(bytes, 'latin1'), 100), /not one of Kafka's/);
  }
});

function withLength(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

function framesOf(stream: Buffer, chunkBytes: number): readonly Buffer[] {
  const frames: Buffer[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  for (let at = 0; at < stream.length; at += chunkBytes) {
    reader.push(stream.subarray(at, at + chunkBytes));
  }
  return frames;
}
