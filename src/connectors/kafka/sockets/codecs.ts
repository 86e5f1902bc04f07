// Checksums and compressions of record batches. gzip and zstd are Node's own, snappy and lz4 come
// from the package that speaks to Kafka.

import * as zlib from 'node:zlib';

import { StreamError } from '../../../base/stream-error.ts';
import { wideCrc32c } from '../../../data/codegen/wide-crc32c.ts';
import type { KafkaCodecs, KafkaCompression } from '../../../ports/kafka-wire.ts';
import { kafkaPackage } from './kafka-package.ts';

export const socketCodecs: KafkaCodecs = {
  crc32c: wideCrc32c,
  compress: (by, bytes) => coder(by).compress(bytes),
  decompress: (by, bytes) => coder(by).decompress(bytes),
};

type Coder = {
  compress(bytes: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array): Uint8Array;
};

function coder(by: KafkaCompression): Coder {
  switch (by) {
    case 'none':
      return { compress: (bytes) => bytes, decompress: (bytes) => bytes };
    case 'gzip':
      return { compress: (bytes) => zlib.gzipSync(bytes), decompress: zlib.gunzipSync };
    case 'zstd':
      return zstd();
    case 'snappy':
    case 'lz4':
      return ofPackage(by);
  }
}

/** Node has it from 22.15 on. */
function zstd(): Coder {
  if (typeof zlib.zstdDecompressSync !== 'function') {
    throw new StreamError({
      code: 'compression-unsupported',
      message: 'could not use the compression "zstd": this Node does not have it',
      hint: 'use Node 22.15 or newer',
      fields: { compression: 'zstd' },
    });
  }
  return { compress: (bytes) => zlib.zstdCompressSync(bytes), decompress: zlib.zstdDecompressSync };
}

/** Kafka's snappy may be in blocks with a header, its lz4 is in frames: the package reads both. */
function ofPackage(by: 'snappy' | 'lz4'): Coder {
  const algorithm = kafkaPackage().compressionsAlgorithms[by];
  return {
    compress: (bytes) => algorithm.compressSync(asBuffer(bytes)),
    decompress: (bytes) => algorithm.decompressSync(asBuffer(bytes)),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
