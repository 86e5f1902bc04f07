// Protobuf keys and values of Kafka topics, with a schema registry or one fixed .proto text.

import { StreamError } from '../../../base/stream-error.ts';
import type { RowObject } from '../../../schema/data-type.ts';
import { fitted, nameOfSchema, schemaMismatch } from './format-errors.ts';
import type { FormatPlace } from './format-errors.ts';
import { parsedSchema, schemaToWrite } from './format-schema.ts';
import type { FoundSchema, SchemaOptions } from './format-schema.ts';
import { CachedReaders } from './cached-readers.ts';
import type { FormatUse, KafkaEncoder, KafkaFormat } from '../kafka-format.ts';
import { loadProtobuf } from './protobuf-library.ts';
import type { MessageType, ProtobufLibrary, ProtobufSchema } from './protobuf-library.ts';
import { protobufRowReader } from './protobuf-reader.ts';
import { protobufRowWriter } from './protobuf-writer.ts';
import type { MessageWriter } from './protobuf-writer.ts';
import { SchemaRegistry } from './schema-registry.ts';
import type { RegistryAddress, RegistrySchema } from './schema-registry.ts';
import {
  concatBytes,
  messageIndexBytes,
  messageIndexesOf,
  prefixBytes,
  prefixOf,
  schemaIdOf,
} from './wire-format.ts';

export type ProtobufOptions = SchemaOptions & {
  /** Values begin with the id of their schema. Without: they are plain messages of `proto`. */
  readonly registry?: RegistryAddress;
  /**
   * Text of a .proto file. With a registry, a source reads by it, whatever the writer's is, as
   * field numbers allow; a sink writes by it. Default: the registry's.
   */
  readonly proto?: string;
  /** `shop.Order`, or `Order`. Default: the only message, or for sources the one that is named. */
  readonly message?: string;
};

/**
 * Reads or writes Protobuf. The declared columns say which fields are read, by their names in the
 * .proto text; a schema that does not fit them fails the run with `schema-mismatch`, at its first
 * record. Needs the package `protobufjs`, on all hosts. See docs/kafka-formats.md for the types.
 *
 * @example
 * protobuf({ registry: { url: 'http://localhost:8081' }, message: 'shop.Order' });
 */
export function protobuf(options: ProtobufOptions): KafkaFormat {
  const { registry: address, proto, register = false } = options;
  if (address === undefined && proto === undefined) {
    refuse('neither `registry` nor `proto` is given', 'give one, or both');
  }
  if (address === undefined && register) refuse('there is no `registry` to register at', 'give it');
  if (proto === undefined && register) refuse('there is no `proto` to register', 'give it');
  const registry = address === undefined ? null : new SchemaRegistry(address);
  const where = registry === null ? 'its schema' : `the registry ${registry.description}`;
  return {
    kind: 'protobuf',
    description: `protobuf by ${where}`,
    decoder: (use) => decoder({ registry, use, options }),
    encoder: (use) => new ProtobufEncoder({ registry, use, options }),
  };
}

type Parts = {
  readonly registry: SchemaRegistry | null;
  readonly use: FormatUse;
  readonly options: ProtobufOptions;
};

function decoder({ registry, use, options }: Parts): CachedReaders {
  const place: FormatPlace = { topic: use.topic, part: use.part, format: 'Protobuf' };
  const { proto, message = null } = options;
  const given = proto === undefined ? null : { id: -1, text: proto, references: [] };
  return new CachedReaders({
    place,
    headerOf: (value) => {
      if (registry === null) return { id: null, indexes: [], key: '', start: 0 };
      const id = schemaIdOf(value);
      const found = id === null ? null : messageIndexesOf(value, prefixBytes);
      if (id === null || found === null) return null;
      const { indexes, end } = found;
      const isFirst = indexes.length === 1 && indexes[0] === 0;
      // With a schema of one's own all values are read alike, and the registry is not asked.
      const key = given !== null ? '' : isFirst ? id : `${id} ${indexes.join(' ')}`;
      return { id, indexes, key, start: end };
    },
    makeReader: async ({ id, indexes }) => {
      const library = await loadProtobuf();
      const found = given ?? (await registry!.schemaById(id!));
      const schema = parsed(library, found, place);
      const called = nameOfSchema(found.id);
      const chosen =
        given === null ? byIndexes(schema, indexes) : byName(schema, { message, place, called });
      if (chosen === null) {
        throw schemaMismatch(place, called, {
          what: `it has no message at ${indexes.join('.')}, which a record names`,
          hint: 'check that the records were written with this registry',
          column: null,
          field: null,
        });
      }
      checkName(chosen, { message, place, called });
      return fitted(place, `${called}, message "${chosen.name}",`, () =>
        protobufRowReader(chosen.type, use.schema),
      );
    },
  });
}

type Wanted = {
  readonly message: string | null;
  readonly place: FormatPlace;
  readonly called: string;
};

function byIndexes({ messages }: ProtobufSchema, indexes: readonly number[]): MessageType | null {
  const path = indexes.join('.');
  return messages.find((message) => message.indexes.join('.') === path) ?? null;
}

function byName({ messages }: ProtobufSchema, { message, place, called }: Wanted): MessageType {
  const top = messages.filter(({ indexes }) => indexes.length === 1);
  const [first, ...others] =
    message === null ? top : messages.filter(({ name }) => isCalled(name, message));
  if (first !== undefined && others.length === 0) return first;
  const names = messages.map(({ name }) => name).join(', ');
  throw schemaMismatch(place, called, {
    what:
      message !== null && first === undefined
        ? `it has no message "${message}"`
        : 'it has several messages that could be meant',
    hint: `name one as \`message\`: ${names}`,
    column: null,
    field: null,
  });
}

function checkName({ name }: MessageType, { message, place, called }: Wanted): void {
  if (message === null || isCalled(name, message)) return;
  throw schemaMismatch(place, called, {
    what: `a record is a "${name}", not a "${message}"`,
    hint: 'correct `message`, or leave it out to read each record as what it says it is',
    column: null,
    field: null,
  });
}

function isCalled(name: string, message: string): boolean {
  return name === message || name.endsWith(`.${message}`);
}

function parsed(library: ProtobufLibrary, found: FoundSchema, place: FormatPlace): ProtobufSchema {
  return parsedSchema(library, found, { type: 'PROTOBUF', place });
}

class ProtobufEncoder implements KafkaEncoder {
  readonly #parts: Parts;
  readonly #place: FormatPlace;
  #write: MessageWriter | null = null;
  #prefix: Uint8Array = new Uint8Array(0);

  constructor(parts: Parts) {
    const { topic, part } = parts.use;
    this.#parts = parts;
    this.#place = { topic, part, format: 'Protobuf' };
  }

  async prepare(): Promise<void> {
    if (this.#write !== null) return;
    const library = await loadProtobuf();
    const { registry, use, options } = this.#parts;
    const { message = null } = options;
    const found = await this.#schema();
    const called = nameOfSchema(found.id);
    const place = this.#place;
    const chosen = byName(parsed(library, found, place), { message, place, called });
    if (registry !== null) {
      this.#prefix = concatBytes(prefixOf(found.id), messageIndexBytes(chosen.indexes));
    }
    this.#write = fitted(place, `${called}, message "${chosen.name}",`, () =>
      protobufRowWriter(chosen.type, use.schema, place),
    );
  }

  encode(row: RowObject): Uint8Array {
    if (this.#write === null) throw new Error('an encoder is prepared before it encodes');
    const body = this.#write(row);
    return this.#prefix.length === 0 ? body : concatBytes(this.#prefix, body);
  }

  #schema(): Promise<RegistrySchema> {
    const { registry, use, options } = this.#parts;
    return schemaToWrite(registry, use, {
      ...options,
      type: 'PROTOBUF',
      text: options.proto ?? null,
    });
  }
}

function refuse(what: string, hint: string): never {
  const message = `could not set up the format "protobuf": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { format: 'protobuf' } });
}
