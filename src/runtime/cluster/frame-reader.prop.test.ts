// Frames come out as they went in, however the network cut the bytes; lengths are checked first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader } from './frame-reader.ts';

const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 12 });
const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 400 }));

test('push: frames come out whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(frames, cuts, (sent, sizes) => {
      const stream = Buffer.concat(
        sent.flatMap((frame) => {
          const length = Buffer.alloc(4);
          length.writeUInt32LE(frame.length);
          return [length, frame];
        }),
      );
      const reader = new FrameReader({ allocate: (n) => new Uint8Array(n), bytesMax: 300 });
      const received: Uint8Array[] = [];
      for (let at = 0; at < stream.length;) {
        const size = sizes.next().value as number;
        const refused = reader.push(stream.subarray(at, at + size), (frame) =>
          received.push(frame),
        );
        assert.equal(refused, null);
        at += size;
      }
      assert.deepEqual(
        received.map((frame) => [...frame]),
        sent.map((frame) => [...frame]),
      );
    }),
  );
});

test('push: no memory is taken for a length beyond the bound, or for none', () => {
  for (const length of [0, 301, 0xffffffff]) {
    const reader = new FrameReader({
      allocate: () => assert.fail('it took memory'),
      bytesMax: 300,
    });
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    assert.equal(
      reader.push(head, () => assert.fail('it gave a frame')),
      length,
    );
  }
});

test('push: noise never throws and never takes more than the bound at a time', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
      const reader = new FrameReader({
        allocate: (bytes) => {
          assert.ok(bytes <= 300);
          return new Uint8Array(bytes);
        },
        bytesMax: 300,
      });
      for (const chunk of chunks) if (reader.push(chunk, () => {}) !== null) break;
    }),
  );
});
