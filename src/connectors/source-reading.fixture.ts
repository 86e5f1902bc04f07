// What the tests of sources share: a context, and reading a chunk or a whole partition as lines.

import type { SourceContext, SourceReader } from '../ports/source.ts';
import type { SourceChunk } from '../ports/source-chunk.ts';

export function sourceContext(part: Partial<SourceContext> = {}): SourceContext {
  return {
    nowMs: () => 0,
    warn: () => {},
    startMs: 0,
    schema: { fields: [] },
    format: { kind: 'json-lines' },
    workerCount: 1,
    ...part,
  };
}

/** The chunk's records as text, without line ends. */
export function textOf(chunk: SourceChunk): string[] {
  if (chunk.data.kind !== 'bytes') return [];
  return chunk.data.pieces.flatMap(({ bytes, start, end }) => {
    const text = new TextDecoder().decode(bytes.subarray(start, end));
    return text.replace(/\n$/, '').split('\n');
  });
}

/** Takes until the end, waiting for `onReady` where nothing is ready. */
export async function readAll(
  reader: SourceReader,
  bytesMax: () => number,
  onChunk: (chunk: SourceChunk) => void,
): Promise<void> {
  let wake = (): void => {};
  reader.onReady(() => wake());
  for (;;) {
    while (!reader.ready()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const chunk = reader.take(bytesMax());
    onChunk(chunk);
    if (chunk.ended) return;
  }
}
