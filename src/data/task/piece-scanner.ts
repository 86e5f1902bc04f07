// The scanner for a piece of a source's input. JSON lines have one; CSV read by header has one for
// each order of columns seen, all filling the same columns.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { SourceSpec } from '../../plan/logical-plan.ts';
import type { ScanInput } from '../../plan/physical-plan.ts';
import type { SourcePiece } from '../../ports/source-chunk.ts';
import { compileCsvScanner } from '../codegen/csv-scanner.ts';
import { compileJsonScanner } from '../codegen/json-scanner.ts';
import type { ScanColumn, Scanner, ScanSpec } from '../codegen/scanner.ts';

export class PieceScanner {
  readonly columns: readonly ScanColumn[];
  readonly #source: SourceSpec;
  readonly #spec: ScanSpec;
  #scanner: Scanner;
  #header: readonly string[] | null;

  constructor(source: SourceSpec, scan: ScanInput) {
    this.#source = source;
    this.#spec = scanSpec(source, scan);
    const { format } = source;
    assert(format.kind !== 'rows', 'rows are not scanned');
    // Without a header of its own a CSV source gets a scanner when the first file's is known.
    this.#header =
      format.kind === 'csv' ? (format.header ?? scan.fields.map(({ path }) => path[0]!)) : null;
    this.#scanner = this.#compile(this.#header);
    this.columns = this.#scanner.columns;
  }

  scannerOf(piece: SourcePiece): Scanner {
    const { columns } = piece;
    if (columns !== null && columns !== this.#header && !isSame(columns, this.#header)) {
      this.#scanner = this.#retarget(columns);
      this.#header = columns;
    }
    return this.#scanner;
  }

  #compile(header: readonly string[] | null): Scanner {
    const { format } = this.#source;
    if (format.kind !== 'csv') return compileJsonScanner(this.#spec);
    const names = header ?? [];
    const columns = new Map(names.map((name, index) => [name, index]));
    for (const { name, path } of this.#spec.fields) {
      const [column = ''] = path;
      const position = columns.get(column);
      const what = position === undefined ? 'find' : 'tell which is';
      const isOnly = position !== undefined && names.indexOf(column) === position;
      if (!isOnly) throw this.#badHeader(what, { name, column, names });
    }
    const { delimiter } = format;
    return compileCsvScanner(this.#spec, { delimiter, quote: '"', columns, width: names.length });
  }

  #badHeader(
    what: string,
    { name, column, names }: { name: string; column: string; names: readonly string[] },
  ): StreamError {
    return new StreamError({
      code: 'csv-header',
      message: `could not ${what} column "${column}" of field "${name}" in the header`,
      hint: `the header has ${names.map((each) => `"${each}"`).join(', ')}`,
      fields: { source: this.#source.name, column },
    });
  }

  /** A scanner for another header, whose columns the kernel finds in the place it knows. */
  #retarget(header: readonly string[]): Scanner {
    return new CopyingScanner(this.#compile(header), this.columns);
  }
}

/** Puts what another scanner read into given columns. */
class CopyingScanner implements Scanner {
  readonly columns: readonly ScanColumn[];
  readonly #inner: Scanner;

  constructor(inner: Scanner, columns: readonly ScanColumn[]) {
    this.#inner = inner;
    this.columns = columns;
  }

  get scratch(): Uint8Array {
    return this.#inner.scratch;
  }

  get position(): number {
    return this.#inner.position;
  }

  get records(): number {
    return this.#inner.records;
  }

  get timeMax(): number {
    return this.#inner.timeMax;
  }

  get errors(): Scanner['errors'] {
    return this.#inner.errors;
  }

  scan(input: Uint8Array, from: number, to: number, nowMs: number): number {
    const rowCount = this.#inner.scan(input, from, to, nowMs);
    this.columns.forEach((column, index) => {
      copyColumn(this.#inner.columns[index]!, column, rowCount);
    });
    return rowCount;
  }
}

type Arrays = {
  readonly values?: ScanColumn extends { values: infer V } ? V : unknown;
  readonly starts?: Int32Array;
  readonly ends?: Int32Array;
  readonly valid: Uint8Array | null;
};

function copyColumn(from: ScanColumn, to: ScanColumn, rowCount: number): void {
  const source = from as Arrays;
  const target = to as Arrays;
  for (const name of ['values', 'starts', 'ends', 'valid'] as const) {
    const values = source[name] as Int32Array | null | undefined;
    if (values === null || values === undefined) continue;
    (target[name] as Int32Array).set(values.subarray(0, rowCount));
  }
}

function scanSpec(source: SourceSpec, scan: ScanInput): ScanSpec {
  const { fields, timeColumn, equals } = scan;
  return {
    fields,
    timeField: fields.findIndex(({ name }) => name === timeColumn),
    equals: equals.map(({ column, value }) => ({
      field: fields.findIndex(({ name }) => name === column),
      value,
    })),
    timeAheadMsMax: source.watermark.aheadMsMax,
  };
}

function isSame(left: readonly string[], right: readonly string[] | null): boolean {
  return (
    right !== null && left.length === right.length && left.every((name, i) => name === right[i])
  );
}
