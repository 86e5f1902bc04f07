// How the runtime writes and reads what is opaque to the control plane: the codecs of messages are
// given these and look into no handle themselves.

import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Handle } from './messages.ts';

/** `read` never throws: what makes no sense is refused by way of the reader. */
export type HandleCodec = {
  readonly write: (to: ByteWriter, handle: Handle) => void;
  readonly read: (from: ByteReader) => Handle;
};

export type MessageCodecs = {
  /** What a task gave for one exchange. */
  readonly output: HandleCodec;
  /** What the runtime of a worker measured; null before. */
  readonly gauges: HandleCodec;
  /** The record of a source task's range, or of a part of it. */
  readonly range: HandleCodec;
  /** Where the state of a partition lies. */
  readonly snapshot: HandleCodec;
};
