// The wire codec: what is written is read, and bytes that nobody wrote are refused by a value, with
// nothing thrown, nothing read beyond and no memory taken for a length that is not there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decoded } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import {
  readDriverMessage,
  readPeerMessage,
  readWorkerMessage,
  writeDriverMessage,
  writePeerMessage,
  writeWorkerMessage,
} from './codec.ts';
import { readHandshake, writeHandshake } from './handshake.ts';
import {
  readFrameTarget,
  readHostMessage,
  readPeerEnvelope,
  writeHostMessage,
} from './host-messages.ts';
import type { BatchNumber, GroupId, PlacementVersion, Term } from './ids.ts';
import {
  driverMessage,
  handshakeMessage,
  hostMessage,
  peerMessage,
  textCodec,
  workerMessage,
} from './messages.fixture.ts';
import { protocolVersion } from './version.ts';

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
  driver: codec(driverMessage, writeDriverMessage, readDriverMessage),
  worker: codec(
    workerMessage,
    (to, message) => writeWorkerMessage(to, message, textCodec),
    (bytes) => readWorkerMessage(bytes, textCodec),
  ),
  peer: codec(
    peerMessage,
    (to, message) => writePeerMessage(to, message, textCodec),
    (bytes) => readPeerMessage(bytes, textCodec),
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

test('start-group is a few bytes, and as many for 100,000 micro-batches as for one', () => {
  const sizes = [1, 100, 100_000].map((count) => {
    const writer = new ByteWriter();
    writeDriverMessage(writer, {
      kind: 'start-group',
      term: 1 as Term,
      version: 0 as PlacementVersion,
      group: 70_000 as GroupId,
      first: 7_000_000 as BatchNumber,
      count,
      intervalMs: 10,
      anchorMs: 1_800_000_000_000,
      reportAt: 7_000_000 as BatchNumber,
      retireThrough: 6_999_999 as BatchNumber,
      final: false,
      stage: null,
    });
    return writer.length;
  });
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 2, String(sizes));
  assert.ok(Math.max(...sizes) < 50, String(sizes));
});

test('a count is never believed: a few bytes cannot ask for many things', () => {
  // A report of 2^31 ended sources, and blocks of as many producers.
  const count = [0xff, 0xff, 0xff, 0xff, 0x07];
  for (const head of [
    [17, 1, 1, 1, 1],
    [32, 1, 1, 0, 1, 0],
  ]) {
    const bytes = Uint8Array.of(...head, ...count);
    const decoded =
      head[0] === 17 ? readWorkerMessage(bytes, textCodec) : readPeerMessage(bytes, textCodec);
    assert.ok(!decoded.ok);
    assert.ok(['out-of-range', 'cut-off'].includes(decoded.refusal.reason));
  }
});

test('a template that refers to what is not there is refused', () => {
  const writer = new ByteWriter();
  writeDriverMessage(writer, {
    kind: 'install-template',
    term: 1 as Term,
    template: {
      version: 0 as PlacementVersion,
      planHash: 'p',
      delivery: 'push',
      partMs: null,
      exchanges: [{ from: 0, to: 7 }],
      stages: [{ source: true, inputs: [], outputs: [0], placement: [] }],
    },
  });
  const [bytes] = writer.finish();
  const decoded = readDriverMessage(bytes!);
  assert.ok(!decoded.ok && decoded.refusal.reason === 'inconsistent');
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
