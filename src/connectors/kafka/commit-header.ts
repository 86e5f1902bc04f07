// The header by which a micro-batch that was committed in one phase is known again: its first
// record says whose it is, and which.

import { hashText } from '../../base/hash.ts';
import { ByteWriter } from '../byte-writer.ts';
import { putVarint } from './record-buffer.ts';
import type { RecordWalk } from './record-walk.ts';

const name = new TextEncoder().encode('mizzle-commit');

export type CommitHeader = {
  /** Of whom, by `commitOwner`. */
  readonly owner: string;
  readonly batch: number;
};

/** Short, and different for different texts. */
export function commitOwner(key: string): string {
  return hashText(key).slice(0, 16);
}

/** As it stands in a record, without the number of headers in front. */
export function commitHeader({ owner, batch }: CommitHeader): Uint8Array {
  const value = new TextEncoder().encode(`${owner} ${batch}`);
  const writer = new ByteWriter();
  putVarint(writer, name.length);
  writer.putBytes(name, 0, name.length);
  putVarint(writer, value.length);
  writer.putBytes(value, 0, value.length);
  return writer.bytes.slice(0, writer.length);
}

/** Of the record at which the walk stands; null: it has none. */
export function readCommitHeader(bytes: Uint8Array, walk: RecordWalk): CommitHeader | null {
  const span = walk.header(name);
  if (span === null) return null;
  const text = new TextDecoder().decode(bytes.subarray(span.start, span.end));
  const found = /^([0-9a-f]+) (\d+)$/.exec(text);
  return found === null ? null : { owner: found[1]!, batch: Number(found[2]) };
}
