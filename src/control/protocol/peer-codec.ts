// The bytes of what workers say to each other; the table of all frames is in docs/protocol.md.
// Decoding gives a value or a typed refusal and never throws.
//
// v: varint · b+1: varint of a micro-batch number plus one · u8: fixed · all begin with a byte for
// their kind, v term, v incarnation, v version
//
// | first byte | message  | then                                                                 |
// | ---------- | -------- | -------------------------------------------------------------------- |
// | 32         | blocks   | b+1 batch, v exchange, v count + 1 (0: all), v each partition meant, |
// |            |          | v count, then for each: v producer, v part, u8 last, u8 has a range, |
// |            |          | range, output                                                        |
// | 33         | progress | b+1 done, b+1 taken                                                  |
// | 34         | pull     | b+1 batch, v exchange                                                |
// | 35         | frontier | b+1 durable                                                          |
// | 36         | backup   | v count, then for each: b+1 batch, v exchange, v producer, v bytes,  |
// |            |          | output                                                               |

import { unreachable } from '../../base/assert.ts';
import { frameBytesMax, partitionsMax, placesMax, stagesMax } from '../limits.ts';
import type { Decoded } from './byte-reader.ts';
import { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { MessageCodecs } from './handle-codec.ts';
import type { PlacementVersion } from './ids.ts';
import type { Signature } from './message-fields.ts';
import {
  readBatchNumber,
  readOptional,
  readSignature,
  unknownKind,
  writeBatchNumber,
  writeOptional,
  writeSignature,
} from './message-fields.ts';
import type { BlockCopy, BlockEntry, PeerMessage } from './messages.ts';

export function writePeerMessage(
  to: ByteWriter,
  message: PeerMessage,
  codecs: MessageCodecs,
): void {
  to.u8(peerKinds[message.kind]);
  writeSignature(to, message);
  to.varint(message.version);
  switch (message.kind) {
    case 'blocks':
      return writeBlocks(to, message, codecs);
    case 'progress':
      writeBatchNumber(to, message.doneThrough);
      return writeBatchNumber(to, message.takenThrough);
    case 'pull':
      writeBatchNumber(to, message.batch);
      return to.varint(message.exchange);
    case 'frontier':
      return writeBatchNumber(to, message.durableThrough);
    case 'backup':
      return writeCopies(to, message.copies, codecs);
    default:
      unreachable(message);
  }
}

const peerKinds: { readonly [Kind in PeerMessage['kind']]: number } = {
  blocks: 32,
  progress: 33,
  pull: 34,
  frontier: 35,
  backup: 36,
};

export function readPeerMessage(bytes: Uint8Array, codecs: MessageCodecs): Decoded<PeerMessage> {
  return readPeerMessageFrom(new ByteReader(bytes), codecs);
}

/** As `readPeerMessage`, behind what an envelope has read: blocks are aligned in the frame. */
export function readPeerMessageFrom(from: ByteReader, codecs: MessageCodecs): Decoded<PeerMessage> {
  const kind = from.u8('message kind');
  const version = { ...readSignature(from), version: readVersion(from) };
  switch (kind) {
    case 32:
      return from.finish(readBlocks(from, version, codecs));
    case 33: {
      const doneThrough = readBatchNumber(from, 'micro-batch');
      const takenThrough = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'progress', ...version, doneThrough, takenThrough });
    }
    case 34: {
      const batch = readBatchNumber(from, 'micro-batch');
      const exchange = from.varint('exchange', stagesMax);
      return from.finish({ kind: 'pull', ...version, batch, exchange });
    }
    case 35: {
      const durableThrough = readBatchNumber(from, 'micro-batch');
      return from.finish({ kind: 'frontier', ...version, durableThrough });
    }
    case 36:
      return from.finish({ kind: 'backup', ...version, copies: readCopies(from, codecs) });
    default:
      return unknownKind(from);
  }
}

function writeCopies(
  to: ByteWriter,
  copies: readonly BlockCopy[],
  { output: outputs }: MessageCodecs,
): void {
  to.varint(copies.length);
  for (const { batch, exchange, producer, bytes, output } of copies) {
    writeBatchNumber(to, batch);
    to.varint(exchange);
    to.varint(producer);
    to.varint(bytes);
    outputs.write(to, output);
  }
}

function readCopies(from: ByteReader, codecs: MessageCodecs): readonly BlockCopy[] {
  const copies: BlockCopy[] = [];
  const count = from.count('copies', placesMax);
  for (let index = 0; index < count && from.ok; index++) {
    const batch = readBatchNumber(from, 'micro-batch');
    const exchange = from.varint('exchange', stagesMax);
    const producer = from.varint('producer', partitionsMax);
    const bytes = from.varint('bytes', frameBytesMax);
    copies.push({ batch, exchange, producer, bytes, output: codecs.output.read(from) });
  }
  return copies;
}

type Blocks = Extract<PeerMessage, { kind: 'blocks' }>;
type Head = Signature & { readonly version: PlacementVersion };

function readVersion(from: ByteReader): PlacementVersion {
  return from.varint('placement version') as PlacementVersion;
}

function writeBlocks(
  to: ByteWriter,
  { batch, exchange, only, entries }: Blocks,
  { range: ranges, output: outputs }: MessageCodecs,
): void {
  writeBatchNumber(to, batch);
  to.varint(exchange);
  to.varint(only === null ? 0 : only.length + 1);
  for (const partition of only ?? []) to.varint(partition);
  to.varint(entries.length);
  for (const { producer, part, last, range, output } of entries) {
    to.varint(producer);
    to.varint(part);
    to.flag(last);
    writeOptional(to, range, ranges);
    outputs.write(to, output);
  }
}

function readBlocks(from: ByteReader, head: Head, codecs: MessageCodecs): Blocks {
  const batch = readBatchNumber(from, 'micro-batch');
  const exchange = from.varint('exchange', stagesMax);
  const only = readOnly(from);
  const entries: BlockEntry[] = [];
  const count = from.count('producers', partitionsMax);
  for (let index = 0; index < count && from.ok; index++) {
    const producer = from.varint('producer', partitionsMax);
    const part = from.varint('part');
    const last = from.flag('last part');
    const range = readOptional(from, 'range', codecs.range);
    entries.push({ producer, part, last, range, output: codecs.output.read(from) });
  }
  return { kind: 'blocks', ...head, batch, exchange, only, entries };
}

/** Ascending: each partition is meant once. */
function readOnly(from: ByteReader): readonly number[] | null {
  const count = from.count('partitions meant', partitionsMax + 1) - 1;
  if (count < 0) return null;
  const only: number[] = [];
  for (let index = 0; index < count && from.ok; index++) {
    const partition = from.varint('partition meant', partitionsMax);
    if (index > 0 && partition <= only[index - 1]!) from.refuse('out-of-range', 'partition meant');
    only.push(partition);
  }
  return only;
}
