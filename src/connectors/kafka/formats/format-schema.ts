// Which schema rows are written by, and a schema's text made into what a library works with: alike
// for all encodings.

import type { FormatPlace } from './format-errors.ts';
import { nameOfSchema, schemaInvalid, schemaMismatch } from './format-errors.ts';
import type { FormatUse } from '../kafka-format.ts';
import type { RegistrySchema, SchemaReference, SchemaRegistry } from './schema-registry.ts';

export type SchemaOptions = {
  /**
   * For sinks: registers the schema that is given (for Avro without one: one made of the columns)
   * instead of taking what the subject has. Default false.
   */
  readonly register?: boolean;
  /** What the schema refers to, for `register`. */
  readonly references?: readonly SchemaReference[];
  /** For sinks. Default: `<topic>-value` and `<topic>-key`. */
  readonly subject?: string;
};

/** Its id is the registry's; -1: there is no registry. `text` null: the subject's latest. */
export async function schemaToWrite(
  registry: SchemaRegistry | null,
  { topic, part }: FormatUse,
  {
    type,
    text,
    subject = `${topic}-${part}`,
    register = false,
    references = [],
  }: SchemaOptions & { readonly type: 'AVRO' | 'PROTOBUF'; readonly text: string | null },
): Promise<RegistrySchema> {
  if (registry === null) return { id: -1, type, text: text!, references: [] };
  if (text === null) return registry.latest(subject);
  const written = { type, text, references };
  // Without `register` the subject must have it already: its id is asked for, nothing is added.
  if (!register) return registry.lookUp(subject, written);
  return registry.schemaById(await registry.register(subject, written));
}

export type FoundSchema = Pick<RegistrySchema, 'id' | 'text' | 'references'> &
  Partial<RegistrySchema>;

type Library<Parsed> = {
  parse(text: string, references: RegistrySchema['references']): Parsed;
};

/** Throws `schema-mismatch` where it is of another encoding, and where it cannot be read. */
export function parsedSchema<Parsed>(
  library: Library<Parsed>,
  found: FoundSchema,
  { type: wanted, place }: { readonly type: 'AVRO' | 'PROTOBUF'; readonly place: FormatPlace },
): Parsed {
  const { type = wanted, text, references } = found;
  const called = nameOfSchema(found.id);
  if (type !== wanted) {
    throw schemaMismatch(place, called, {
      what: `it is of type ${type}`,
      hint: 'use the format that the topic is written in',
      column: null,
      field: null,
    });
  }
  try {
    return library.parse(text, references);
  } catch (error) {
    throw schemaInvalid(place, called, error);
  }
}
