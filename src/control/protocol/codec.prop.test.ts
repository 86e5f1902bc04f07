// The wire codec: what is written is read, and bytes that nobody wrote are refused by a value, with
// nothing thrown, nothing read beyond and no memory taken for a length that is not there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decoded } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { readDriverMessage, writeDriverMessage } from './driver-codec.ts';
import { readHandshake, writeHandshake } from './handshake.ts';
import {
  readFrameTarget,
  readHostMessage,
  readPeerEnvelope,
  writeHostMessage,
} from './host-messages.ts';
import type { BatchNumber, GroupId, PlacementVersion, Term } from './ids.ts';
import { noBatch } from './ids.ts';
import {
  driverMessage,
  handshakeMessage,
  hostMessage,
  peerMessage,
  textCodecs,
  workerMessage,
} from './messages.fixture.ts';
import type { DriverMessage, StartGroup } from './messages.ts';
import { readPeerMessage, writePeerMessage } from './peer-codec.ts';
import { protocolVersion } from './version.ts';
import { readWorkerMessage, writeWorkerMessage } from './worker-codec.ts';

type Codec<T> = {
  readonly messages: fc.Arbitrary<T>;
  readonly write: (to: ByteWriter, message: T) => void;
  readonly read: (bytes: Uint8Array) => Decoded<T>;
};

function codec<T>(
  messages: Codec<T>['messages'],
  write: Codec<T>['write'],
  read: Codec<T>['read'],
): Codec<unknown> {
  return { messages, write: write as Codec<unknown>['write'], read };
}

const codecs: Readonly<Record<string, Codec<unknown>>> = {
  driver: codec(
    driverMessage,
    (to, message) => writeDriverMessage(to, message, textCodecs),
    (bytes) => readDriverMessage(bytes, textCodecs),
  ),
  worker: codec(
    workerMessage,
    (to, message) => writeWorkerMessage(to, message, textCodecs),
    (bytes) => readWorkerMessage(bytes, textCodecs),
  ),
  peer: codec(
    peerMessage,
    (to, message) => writePeerMessage(to, message, textCodecs),
    (bytes) => readPeerMessage(bytes, textCodecs),
  ),
  handshake: codec(handshakeMessage, writeHandshake, (bytes) =>
    readHandshake(bytes, protocolVersion),
  ),
  host: codec(hostMessage, writeHostMessage, readHostMessage),
};

function encode(message: unknown, { write }: Codec<unknown>): Uint8Array {
  const writer = new ByteWriter();
  write(writer, message);
  const length = writer.length;
  const bytes = Uint8Array.from(writer.finish().flatMap((piece) => [...piece]));
  assert.equal(bytes.length, length);
  return bytes;
}

/** Whatever comes out, it is a value or a refusal, and small when the input is. */
function decodesQuietly(bytes: Uint8Array, { read }: Codec<unknown>): void {
  const decoded = read(bytes);
  if (decoded.ok) return;
  assert.ok(decoded.refusal.at <= bytes.length);
  assert.ok(decoded.refusal.what.length > 0);
}

for (const [name, each] of Object.entries(codecs)) {
  test(`${name} messages: what is written is read`, () => {
    fc.assert(
      fc.property(each.messages, (message) => {
        const decoded = each.read(encode(message, each));
        assert.ok(decoded.ok, JSON.stringify(decoded));
        assert.deepEqual(normal(decoded.value), normal(message));
      }),
      { numRuns: 500 },
    );
  });

  test(`${name} messages: every beginning of one is refused`, () => {
    fc.assert(
      fc.property(each.messages, fc.nat(), (message, at) => {
        const bytes = encode(message, each);
        const cut = bytes.slice(0, at % bytes.length);
        const decoded = each.read(cut);
        // What ends in bytes of any length may be cut there and still be one.
        const open = ['to-worker', 'to-driver', 'commit'];
        const { kind } = message as { readonly kind: string };
        if (!open.includes(kind)) assert.ok(!decoded.ok);
      }),
    );
  });

  test(`${name} messages: bytes behind one are refused`, () => {
    fc.assert(
      fc.property(each.messages, (message) => {
        const { kind } = message as { readonly kind: string };
        fc.pre(!['to-worker', 'to-driver', 'commit'].includes(kind));
        const decoded = each.read(Uint8Array.of(...encode(message, each), 0));
        assert.ok(!decoded.ok && decoded.refusal.reason === 'left-over');
      }),
    );
  });

  test(`${name} messages: damaged ones and noise are decoded without a throw`, () => {
    fc.assert(
      fc.property(
        each.messages,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
        fc.uint8Array({ maxLength: 200 }),
        (message, damage, noise) => {
          const bytes = encode(message, each);
          for (const [at, value] of damage) bytes[at % bytes.length] = value;
          decodesQuietly(bytes, each);
          decodesQuietly(noise, each);
          // A true first byte gets noise further in.
          decodesQuietly(Uint8Array.of(bytes[0]!, ...noise), each);
          readFrameTarget(noise);
          readPeerEnvelope(Uint8Array.of(3, ...noise));
        },
      ),
      { numRuns: 2000 },
    );
  });
}

const order: StartGroup = {
  kind: 'start-group',
  term: 1 as Term,
  version: 0 as PlacementVersion,
  group: 70_000 as GroupId,
  first: 7_000_000 as BatchNumber,
  count: 100_000,
  intervalMs: 10,
  anchorMs: 1_800_000_000_000,
  reportAt: 7_000_000 as BatchNumber,
  retireThrough: 6_999_999 as BatchNumber,
  final: false,
  stage: null,
  checkpointAt: noBatch,
};

function bytesOf(message: DriverMessage): Uint8Array {
  return encode(message, codecs['driver']!);
}

test('start-group is a few bytes, and as many for 100,000 micro-batches as for one', () => {
  const sizes = [1, 100, 100_000].flatMap((count) => {
    const checkpointAt = (order.first + count - 1) as BatchNumber;
    return [bytesOf({ ...order, count }), bytesOf({ ...order, count, checkpointAt })];
  });
  const lengths = sizes.map(({ length }) => length);
  assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 5, String(lengths));
  assert.ok(Math.max(...lengths) < 50, String(lengths));
});

test('start-group with a checkpoint outside the group is refused', () => {
  const { first, count } = order;
  for (const checkpointAt of [first - 1, first + count] as BatchNumber[]) {
    const decoded = readDriverMessage(bytesOf({ ...order, checkpointAt }), textCodecs);
    assert.ok(!decoded.ok && decoded.refusal.reason === 'inconsistent');
  }
});

/** What a message holds when it ends in a count of 2^31 things. */
const heads: Readonly<Record<string, readonly number[]>> = {
  'ended sources': [17, 1, 1, 0, 1, 1],
  makespans: [17, 1, 1, 0, 1, 1, 0],
  'refused workers': [23, 1, 1, 1, 1, 1, 1, 1],
  'owned partitions': [23, 1, 1, 1, 1, 1, 1, 1, 0],
  'known partitions': [23, 1, 1, 1, 1, 1, 1, 1, 0, 0],
  ranges: [23, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1],
  parts: [23, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1],
  'kept micro-batches': [23, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
  snapshots: [24, 1, 1, 1, 1],
  producers: [32, 1, 1, 0, 1, 0, 0],
  'partitions meant': [32, 1, 1, 0, 1, 0],
  members: [7, 1, 1, 0],
  workers: [6, 1, 1, 0],
};

test('a count is never believed: a few bytes cannot ask for many things', () => {
  const count = [0xff, 0xff, 0xff, 0xff, 0x07];
  for (const [what, head] of Object.entries(heads)) {
    const name = head[0]! < 16 ? 'driver' : head[0]! < 32 ? 'worker' : 'peer';
    // Enough bytes follow for a count that is only held against them.
    for (const more of [0, 100]) {
      const decoded = codecs[name]!.read(Uint8Array.of(...head, ...count, ...Array(more).fill(1)));
      assert.ok(!decoded.ok, what);
      assert.equal(decoded.refusal.what, what);
      assert.ok(['out-of-range', 'cut-off'].includes(decoded.refusal.reason), what);
    }
  }
});

test('a hello of another version is read as far as its version', () => {
  const bytes = Uint8Array.of(0x4d, 0x5a, 0x5a, 0x4c, 9, 0, 1, 2, 3, 4, 5, 6, 7);
  const decoded = readHandshake(bytes, protocolVersion);
  assert.ok(decoded.ok && decoded.value.kind === 'hello');
  assert.equal(decoded.value.protocol, 9);
});

/** Bytes as lists, and minus zero as zero where the wire has one only. */
function normal(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) => {
      if (part instanceof Uint8Array) return [...part];
      return typeof part === 'number' && !Number.isFinite(part) ? String(part) : part;
    }),
  );
}
