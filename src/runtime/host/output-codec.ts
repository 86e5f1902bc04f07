// The bytes of what a task gives for one exchange, as they travel and as they are spilled: blocks
// are aligned, so that a receiver uses them where they lie.

import type { ByteReader } from '../../control/protocol/byte-reader.ts';
import type { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { HandleCodec } from '../../control/protocol/handle-codec.ts';
import { frameBytesMax, partitionsMax } from '../../control/limits.ts';
import type { BlockHeader, ExchangeOutput } from '../../data/task/task.ts';

/** What the blocks take of memory; empty ones take nothing. */
export function outputBytes({ blocks }: ExchangeOutput): number {
  let bytes = 0;
  for (const block of blocks) bytes += block?.length ?? 0;
  return bytes;
}

/** For `ExchangeOutput`. */
export const outputCodec: HandleCodec = {
  write: (to, handle) => {
    const { header, blocks } = handle as ExchangeOutput;
    to.f64(header.watermarkMs);
    to.flag(header.idle);
    to.f64(header.batchTimeMs);
    writeBlocks(to, blocks);
  },
  read: (from) => {
    const header: BlockHeader = {
      watermarkMs: from.f64('watermark'),
      idle: from.flag('idle'),
      batchTimeMs: from.f64('batch time'),
    };
    return { header, blocks: readBlocks(from) } satisfies ExchangeOutput;
  },
};

function writeBlocks(to: ByteWriter, blocks: ExchangeOutput['blocks']): void {
  let count = 0;
  for (const block of blocks) if (block !== null) count++;
  to.varint(count);
  blocks.forEach((block, partition) => {
    if (block === null) return;
    to.varint(partition);
    to.varint(block.length);
    to.align();
    to.raw(block);
  });
}

/** Only what was sent: partitions that are not there have nothing. */
function readBlocks(from: ByteReader): ExchangeOutput['blocks'] {
  const blocks: (Uint8Array | null)[] = [];
  const count = from.count('blocks', partitionsMax);
  for (let index = 0; index < count && from.ok; index++) {
    const partition = from.varint('partition', partitionsMax);
    const length = from.varint('block length', frameBytesMax);
    from.align('padding');
    const block = from.raw('block', length);
    while (blocks.length < partition) blocks.push(null);
    blocks[partition] = block;
  }
  return blocks;
}
