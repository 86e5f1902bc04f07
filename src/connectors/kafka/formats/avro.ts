// Avro keys and values of Kafka topics, with a schema registry or one fixed schema.

import { StreamError } from '../../../base/stream-error.ts';
import type { Type } from 'avsc';
import { loadAvro } from './avro-library.ts';
import type { AvroLibrary } from './avro-library.ts';
import { avroRowReader } from './avro-reader.ts';
import { avroRowWriter, avroSchemaOf } from './avro-writer.ts';
import type { RowWriter } from './avro-writer.ts';
import { fitted, nameOfSchema } from './format-errors.ts';
import type { FormatPlace } from './format-errors.ts';
import { parsedSchema, schemaToWrite } from './format-schema.ts';
import type { FoundSchema, SchemaOptions } from './format-schema.ts';
import { CachedReaders } from './cached-readers.ts';
import type { FormatUse, KafkaEncoder, KafkaFormat } from '../kafka-format.ts';
import { SchemaRegistry } from './schema-registry.ts';
import type { RegistryAddress, RegistrySchema } from './schema-registry.ts';
import { concatBytes, prefixBytes, prefixOf, schemaIdOf } from './wire-format.ts';

export type AvroOptions = SchemaOptions & {
  /** Values begin with the id of their schema. Without: they are plain Avro of `schema`. */
  readonly registry?: RegistryAddress;
  /**
   * An Avro schema, as an object or as JSON. With a registry, a source reads what was written by
   * the rules of schema resolution (defaults, aliases, promotions); a sink writes by it.
   * Default: sources read values as they were written; sinks write by the subject's latest schema.
   */
  readonly schema?: string | object;
};

/**
 * Reads or writes Avro. The declared columns say which fields are read; a schema that does not fit
 * them fails the run with `schema-mismatch`, at its first record. Needs the package `avsc`, on all
 * hosts. See docs/kafka-formats.md for the types.
 *
 * @example
 * avro({ registry: { url: 'http://localhost:8081' } });
 */
export function avro(options: AvroOptions): KafkaFormat {
  const { registry: address, schema, register = false } = options;
  if (address === undefined && schema === undefined) {
    refuse('neither `registry` nor `schema` is given', 'give one, or both');
  }
  if (address === undefined && register) refuse('there is no `registry` to register at', 'give it');
  const registry = address === undefined ? null : new SchemaRegistry(address);
  const text = typeof schema === 'object' ? JSON.stringify(schema) : (schema ?? null);
  const where = registry === null ? 'its schema' : `the registry ${registry.description}`;
  return {
    kind: 'avro',
    description: `avro by ${where}`,
    decoder: (use) => decoder({ registry, text, use }),
    encoder: (use) => new AvroEncoder({ registry, text, use, options }),
  };
}

type Parts = {
  readonly registry: SchemaRegistry | null;
  readonly text: string | null;
  readonly use: FormatUse;
};

function decoder({ registry, text, use }: Parts): CachedReaders {
  const place = placeOf(use);
  const { schema } = use;
  return new CachedReaders({
    place,
    headerOf: (value) => {
      if (registry === null) return { id: null, indexes: [], key: '', start: 0 };
      const id = schemaIdOf(value);
      return id === null ? null : { id, indexes: [], key: id, start: prefixBytes };
    },
    makeReader: async ({ id }) => {
      const library = await loadAvro();
      const given = text === null ? null : parsed(library, { id: -1, text, references: [] }, place);
      if (id === null)
        return fitted(place, 'the schema', () =>
          avroRowReader(library, given!, { reader: null, schema }),
        );
      const found = await registry!.schemaById(id);
      const writer = parsed(library, found, place);
      return fitted(place, `the schema ${id}`, () =>
        avroRowReader(library, writer, { reader: given, schema }),
      );
    },
  });
}

class AvroEncoder implements KafkaEncoder {
  readonly #parts: Parts & { readonly options: AvroOptions };
  readonly #place: FormatPlace;
  #writer: RowWriter | null = null;
  #prefix: Uint8Array = new Uint8Array(0);

  constructor(parts: Parts & { readonly options: AvroOptions }) {
    this.#parts = parts;
    this.#place = placeOf(parts.use);
  }

  async prepare(): Promise<void> {
    if (this.#writer !== null) return;
    const library = await loadAvro();
    const { registry, use } = this.#parts;
    const found = await this.#schema(library);
    const type = parsed(library, found, this.#place);
    if (registry !== null) this.#prefix = prefixOf(found.id);
    this.#writer = fitted(this.#place, nameOfSchema(found.id), () =>
      avroRowWriter(type, use.schema, this.#place),
    );
  }

  encode(row: Parameters<RowWriter>[0]): Uint8Array {
    if (this.#writer === null) throw new Error('an encoder is prepared before it encodes');
    const body = this.#writer(row);
    return this.#prefix.length === 0 ? body : concatBytes(this.#prefix, body);
  }

  #schema(library: AvroLibrary): Promise<RegistrySchema> {
    const { registry, text: given, use, options } = this.#parts;
    const { register = false } = options;
    const text = given ?? (register ? this.#ofColumns(library) : null);
    return schemaToWrite(registry, use, { ...options, type: 'AVRO', text });
  }

  #ofColumns(library: AvroLibrary): string {
    const { topic, schema } = this.#parts.use;
    const made = fitted(this.#place, 'the columns', () => avroSchemaOf(schema, topic));
    parsed(library, { id: -1, text: made, references: [] }, this.#place);
    return made;
  }
}

function placeOf({ topic, part }: FormatUse): FormatPlace {
  return { topic, part, format: 'Avro' };
}

function parsed(library: AvroLibrary, found: FoundSchema, place: FormatPlace): Type {
  return parsedSchema(library, found, { type: 'AVRO', place });
}

function refuse(what: string, hint: string): never {
  const message = `could not set up the format "avro": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { format: 'avro' } });
}
