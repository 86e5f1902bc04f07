// The header line of a CSV file: its columns' names, and where it ends.

import { StreamError } from '../../base/stream-error.ts';
import { openFeed } from './byte-feed.ts';
import type { FileSegment } from './file-layout.ts';
import { firstRecordEnd, headerNames, markBytes } from './record-cut.ts';
import type { RecordFormat } from './record-cut.ts';

export type FileHeader = {
  readonly columns: readonly string[];
  /** Where the first record behind it starts. */
  readonly end: number;
};

const readBytes = 65_536;

/** Reads it by itself, for who begins in the middle of the file. */
export async function readHeader(segment: FileSegment, format: RecordFormat): Promise<FileHeader> {
  const feed = await openFeed(segment, { position: 0, follow: false });
  let bytes = new Uint8Array(readBytes);
  let filled = 0;
  try {
    for (;;) {
      const count = await feed.read(bytes, filled);
      filled += count;
      const start = markBytes(bytes.subarray(0, filled));
      const found = firstRecordEnd(bytes, { start, end: filled }, format);
      if (found !== -1 || count === 0) {
        const end = found === -1 ? filled : found;
        return { columns: columnsOf(bytes.subarray(start, end), format, segment.path), end };
      }
      if (filled < bytes.length) continue;
      const longer = new Uint8Array(bytes.length * 2);
      longer.set(bytes);
      bytes = longer;
    }
  } finally {
    await feed.close();
  }
}

/** A lone carriage return: all of the file would be taken for its header, and nothing be read. */
export function columnsOf(line: Uint8Array, format: RecordFormat, path: string): readonly string[] {
  const delimiter = format.kind === 'csv' ? format.delimiter : 0;
  const names = headerNames(new TextDecoder().decode(line), String.fromCharCode(delimiter));
  if (!names.some((name) => /\r(?!\n)/.test(name))) return names;
  throw new StreamError({
    code: 'csv-header',
    message: `could not read the header of "${path}": it holds a lone carriage return`,
    hint: 'end lines with a line feed, with or without a carriage return before it',
    fields: { file: path },
  });
}
