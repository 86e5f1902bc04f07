// A source that always says it is ready and never has a record: micro-batches follow one another as
// fast as the engine can schedule them.

import type { Source, SourceReader } from '../src/ports/source.ts';
import type { TypedSource } from '../src/ports/typed.ts';
import type { Schema } from '../src/schema/schema.ts';
import type { Columns } from '../src/schema/value-type.ts';

class EndlessReader implements SourceReader {
  #ended = false;

  take(): ReturnType<SourceReader['take']> {
    return { from: 0, to: 0, ended: this.#ended, data: { kind: 'none' } };
  }

  ready(): boolean {
    return true;
  }

  onReady(): void {
    // It is ready from the start.
  }

  finish(): void {
    this.#ended = true;
  }

  lag(): ReturnType<SourceReader['lag']> {
    return { records: 0, bytes: 0, ms: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function endless<C extends Columns>(
  schema: Schema<C>,
  partitionsPerWorker = 1,
): TypedSource<C> {
  const source: Source = {
    kind: 'endless',
    description: 'no records, for ever',
    format: { kind: 'rows' },
    replayable: true,
    partitions: (context) => Promise.resolve(context.workerCount * partitionsPerWorker),
    open: () => Promise.resolve(new EndlessReader()),
    replayer: () =>
      Promise.resolve({
        read: (from, to) => Promise.resolve({ from, to, ended: false, data: { kind: 'none' } }),
        close: () => Promise.resolve(),
      }),
  };
  return { source, schema };
}
