// What becomes of records that cannot be read: the run fails, they are skipped and counted, or they
// go to the dead letters. An error names file, offset, column and the bytes seen.

import { StreamError } from '../../base/stream-error.ts';
import type { SinkId, SourceSpec } from '../../plan/logical-plan.ts';
import { deadLetterSchema } from '../../schema/dead-letter.ts';
import { BatchBuilder } from '../columnar/batch-builder.ts';
import type { NumberColumn, StringColumn } from '../columnar/batch-builder.ts';
import { appendText } from '../columnar/rows.ts';
import type { SinkRows } from './stage-output.ts';

export type BadRecord = {
  readonly code: string;
  readonly message: string;
  /** Where it came from: a file, and the offset of the record in it. */
  readonly origin: string;
  readonly offset: number;
  /** Offset of the fault itself. */
  readonly faultOffset: number;
  readonly field: string | null;
  readonly record: () => string;
};

/** Characters of a record that an error shows. */
const snippetLengthMax = 120;

export class BadRecords {
  count = 0;
  readonly #spec: SourceSpec;
  readonly #letters: BatchBuilder = new BatchBuilder(deadLetterSchema);

  constructor(spec: SourceSpec) {
    this.#spec = spec;
  }

  /** Throws when the source's `onError` is `fail`. */
  take(bad: BadRecord): void {
    this.count++;
    switch (this.#spec.onError) {
      case 'fail':
        throw this.#error(bad);
      case 'skip':
        return;
      case 'dead-letter':
        return this.#append(bad);
    }
  }

  /** Dead letters since the last call. */
  takeLetters(sinks: SinkRows[]): void {
    const sink: SinkId | null = this.#spec.deadLetter;
    if (this.#letters.rowCount === 0) return;
    if (sink !== null) sinks.push({ sink, batch: this.#letters.finish() });
    this.#letters.reset();
  }

  reset(): void {
    this.count = 0;
    this.#letters.reset();
  }

  #append(bad: BadRecord): void {
    const [source, origin, offset, column, reason, record] = this.#letters.columns;
    appendText(source as StringColumn, this.#spec.name);
    appendText(origin as StringColumn, bad.origin);
    (offset as NumberColumn).appendNumber(bad.offset);
    if (bad.field === null) column!.appendNull();
    else appendText(column as StringColumn, bad.field);
    appendText(reason as StringColumn, bad.message);
    appendText(record as StringColumn, bad.record());
    this.#letters.endRow();
  }

  #error(bad: BadRecord): StreamError {
    const { name } = this.#spec;
    const seen = snippet(bad.record());
    return new StreamError({
      code: bad.code,
      message:
        `could not read a record of source "${name}" at ${bad.origin}, ` +
        `offset ${bad.faultOffset}: ${bad.message}; the record is ${seen}`,
      hint: 'mend the record, or set onError to "skip" or "deadLetter"',
      fields: {
        source: name,
        origin: bad.origin,
        offset: bad.faultOffset,
        recordOffset: bad.offset,
        column: bad.field,
        record: seen,
      },
    });
  }
}

/** The text as a JSON string, so that control characters show; cut when it is long. */
function snippet(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.length > snippetLengthMax ? `${quoted.slice(0, snippetLengthMax - 2)}…"` : quoted;
}
