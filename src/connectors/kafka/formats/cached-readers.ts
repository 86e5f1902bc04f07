// Keeps a reader for each schema that came by.

import type { RowObject } from '../../../schema/data-type.ts';
import { StreamError } from '../../../base/stream-error.ts';
import type { FormatDecoder } from '../kafka-format.ts';
import type { FormatPlace } from './format-errors.ts';
import { prefixBytes, schemaIdOf } from './wire-format.ts';

/** A value's bytes from `start` on as a row. */
export type RowReader = (value: Uint8Array, start: number) => RowObject;

export type ValueHeader = {
  readonly id: number | null;
  readonly indexes: readonly number[];
  /** What values of one reader share. */
  readonly key: number | string;
  /** Where the row's bytes begin. */
  readonly start: number;
};

/** Values of schemas that the registry does not know: broken bytes can name any id. */
const unknownCountMax = 1_000;

/** Keeps a reader for each schema that came by. */
export class CachedReaders implements FormatDecoder {
  readonly #place: FormatPlace;
  readonly #headerOf: (value: Uint8Array) => ValueHeader | null;
  readonly #makeReader: (header: ValueHeader) => Promise<RowReader>;
  readonly #readers = new Map<number | string, RowReader>();
  readonly #pending = new Map<number | string, Promise<void>>();
  readonly #unknown = new Map<number | string, string>();

  constructor(options: {
    readonly place: FormatPlace;
    readonly headerOf: (value: Uint8Array) => ValueHeader | null;
    readonly makeReader: (header: ValueHeader) => Promise<RowReader>;
  }) {
    this.#place = options.place;
    this.#headerOf = options.headerOf;
    this.#makeReader = options.makeReader;
  }

  prepare(value: Uint8Array): Promise<void> | undefined {
    const header = this.#headerOf(value);
    if (header === null || this.#readers.has(header.key)) return undefined;
    if (this.#unknown.has(header.key)) return undefined;
    const pending = this.#pending.get(header.key);
    if (pending !== undefined) return pending;
    const made = this.#make(header).finally(() => this.#pending.delete(header.key));
    this.#pending.set(header.key, made);
    return made;
  }

  decode(value: Uint8Array): RowObject {
    const header = this.#headerOf(value);
    if (header === null) throw new Error(this.#headless(value));
    const reader = this.#readers.get(header.key);
    if (reader !== undefined) return reader(value, header.start);
    const { part } = this.#place;
    throw new Error(this.#unknown.get(header.key) ?? `the ${part}'s schema was not prepared`);
  }

  async #make(header: ValueHeader): Promise<void> {
    try {
      this.#readers.set(header.key, await this.#makeReader(header));
    } catch (error) {
      if (!(error instanceof StreamError) || error.code !== 'schema-unknown') throw error;
      const [oldest] = this.#unknown.keys();
      if (this.#unknown.size >= unknownCountMax) this.#unknown.delete(oldest!);
      this.#unknown.set(header.key, error.message);
    }
  }

  #headless(value: Uint8Array): string {
    const { part, format } = this.#place;
    if (schemaIdOf(value) !== null && format === 'Protobuf') {
      return `the ${part} has a schema id, but no path to its message; is it Protobuf?`;
    }
    const begins = [...value.subarray(0, prefixBytes)]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join(' ');
    const length = `${value.length} bytes${begins === '' ? '' : `, from ${begins} on`}`;
    return `the ${part} has no schema id (${length}); was it written with a registry?`;
  }
}
