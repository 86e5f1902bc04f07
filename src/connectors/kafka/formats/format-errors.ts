// What users are told about encodings of records: which schema, which field, both types.

import { StreamError } from '../../../base/stream-error.ts';

/** What is read or written, for messages: `value of topic "orders" as Avro`. */
export type FormatPlace = {
  readonly topic: string;
  readonly part: 'key' | 'value';
  readonly format: 'Avro' | 'Protobuf';
};

export type Mismatch = {
  /** What does not fit, with both types. */
  readonly what: string;
  readonly hint: string;
  readonly column: string | null;
  /** As the schema calls it. */
  readonly field: string | null;
};

/** Found in the schemas alone, so every record would be bad. */
export class MismatchFound extends Error {
  override name = 'MismatchFound';
  readonly mismatch: Mismatch;

  constructor(mismatch: Mismatch) {
    super(mismatch.what);
    this.mismatch = mismatch;
  }
}

export function schemaMismatch(
  place: FormatPlace,
  schema: string,
  { what, hint, column, field }: Mismatch,
): StreamError {
  const { topic, part, format } = place;
  return new StreamError({
    code: 'schema-mismatch',
    message: `could not use ${schema} for the ${part}s of topic "${topic}" in ${format}: ${what}`,
    hint,
    fields: { topic, part, schema, column, field },
  });
}

export function schemaInvalid(place: FormatPlace, schema: string, cause: unknown): StreamError {
  const { topic, part, format } = place;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StreamError({
    code: 'schema-invalid',
    message: `could not read ${schema} of the ${part}s of topic "${topic}" as ${format}: ${reason}`,
    hint: 'check the schema, and that its references are complete',
    fields: { topic, part, schema },
    cause,
  });
}

export function rowRefused(place: FormatPlace, column: string, cause: unknown): StreamError {
  const { topic, part, format } = place;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StreamError({
    code: 'row-refused',
    message: `could not write column "${column}" to topic "${topic}" as ${format}: ${reason}`,
    hint: 'change the value before the sink, or the schema',
    fields: { topic, part, column },
    cause,
  });
}

/** Where a schema does not fit the columns, the error says which schema of what topic. */
export function fitted<Result>(place: FormatPlace, schema: string, make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (error instanceof MismatchFound) throw schemaMismatch(place, schema, error.mismatch);
    throw error;
  }
}

/** Below 0: it is none of a registry. */
export function nameOfSchema(id: number): string {
  return id < 0 ? 'the schema' : `the schema ${id}`;
}

/** Loads an optional package; `load` must name it literally, so that bundlers find it. */
export async function optionalPackage<Package>(
  name: string,
  load: () => Promise<Package>,
): Promise<Package> {
  try {
    return await load();
  } catch (cause) {
    throw new StreamError({
      code: 'package-missing',
      message: `could not load the package "${name}"`,
      hint: `npm install ${name}, on every host that runs the pipeline`,
      fields: { package: name },
      cause,
    });
  }
}
