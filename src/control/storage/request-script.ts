// What an operator asks of a running driver without a connection to it: one blob in the store,
// which the driver looks at when it renews its lease, and answers by compare-and-swap. A request
// names the term that it is meant for: what was asked of a driver that has died is asked of no
// other one.

import type { StreamError, StreamErrorData } from '../../base/stream-error.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { FieldProblem, JsonField } from './json-fields.ts';
import { readLease } from './lease-script.ts';
import type { PipelineKeys } from './pipeline-keys.ts';
import { sealJson, unsealJson } from './sealed-json.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, getBlob, replaceBlob } from './store-script.ts';

export type OperatorRequest =
  | { readonly kind: 'savepoint'; readonly name: string | null }
  | { readonly kind: 'stop'; readonly drain: boolean | null; readonly savepoint: string | null };

export type RequestAnswer =
  | {
      readonly kind: 'done';
      /** The number of the savepoint, or of the checkpoint as of the end; null: there is none. */
      readonly checkpoint: number | null;
      readonly name: string | null;
      /** Of a stop: whether windows have closed. */
      readonly ending: 'drained' | 'suspended' | null;
    }
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly message: string;
      readonly hint: string | null;
    }
  /** Whoever asked does not wait any more. */
  | { readonly kind: 'withdrawn' };

export type SeenRequest = {
  readonly id: string;
  /** Of the driver that it is meant for. */
  readonly term: number;
  readonly request: OperatorRequest;
  /** Null: none yet. */
  readonly answer: RequestAnswer | null;
  readonly tag: string;
};

/**
 * Asks the driver that has the lease, once: what may have been taken up already is not asked again.
 * Throws `no-driver` or `request-busy`.
 */
export function* fileRequest(
  keys: PipelineKeys,
  asked: { readonly id: string; readonly request: OperatorRequest },
): StoreScript<SeenRequest> {
  const lease = yield* readLease(keys.lease);
  if (lease === null || lease.lease.released) throw noDriver(keys);
  const { term } = lease.lease;
  const blob = yield* getBlob(keys.request);
  const before = blob === null ? null : decodeRequest(blob.bytes, blob.tag);
  if (before !== null && before.answer === null && before.term === term) throw busy(keys);
  const bytes = encodeRequest({ ...asked, term, answer: null });
  const isFiled =
    blob === null
      ? yield* createBlob(keys.request, bytes)
      : (yield* replaceBlob(keys.request, { bytes, tag: blob.tag })) !== null;
  // A store may lose the answer to what it has done.
  const found = yield* readRequest(keys);
  if (found?.id === asked.id) return found;
  if (isFiled) return { ...asked, term, answer: null, tag: '' };
  throw busy(keys);
}

/** What is asked of the driver of this term and waits for an answer. */
export function* openRequest(keys: PipelineKeys, term: number): StoreScript<SeenRequest | null> {
  const found = yield* readRequest(keys);
  return found !== null && found.term === term && found.answer === null ? found : null;
}

/** False: whoever asked has withdrawn it, or another request stands there. */
export function* answerRequest(
  keys: PipelineKeys,
  seen: SeenRequest,
  answer: RequestAnswer,
): StoreScript<boolean> {
  const { id, term, request, tag } = seen;
  const bytes = encodeRequest({ id, term, request, answer });
  if ((yield* replaceBlob(keys.request, { bytes, tag })) !== null) return true;
  // A store may lose the answer to what it has done.
  const found = yield* readRequest(keys);
  return found?.id === id && found.answer?.kind === answer.kind;
}

/** What has come of a request so far; null: nothing yet. Throws `no-driver` if nothing will. */
export function* requestAnswer(
  keys: PipelineKeys,
  asked: SeenRequest,
): StoreScript<RequestAnswer | null> {
  const lease = yield* readLease(keys.lease);
  // Read after the lease: a driver answers before it gives that back.
  const found = yield* readRequest(keys);
  if (found === null || found.id !== asked.id) return { kind: 'withdrawn' };
  if (found.answer !== null) return found.answer;
  if (lease === null || lease.lease.released || lease.lease.term !== asked.term) {
    throw noDriver(keys);
  }
  return null;
}

/** Nobody waits for it any more. Gives the answer if there is one after all. */
export function* withdrawRequest(
  keys: PipelineKeys,
  asked: SeenRequest,
): StoreScript<RequestAnswer> {
  const isDone = yield* answerRequest(keys, asked, { kind: 'withdrawn' });
  const found = isDone ? null : yield* readRequest(keys);
  return (found?.id === asked.id ? found.answer : null) ?? { kind: 'withdrawn' };
}

function* readRequest({ request }: PipelineKeys): StoreScript<SeenRequest | null> {
  const blob = yield* getBlob(request);
  return blob === null ? null : decodeRequest(blob.bytes, blob.tag);
}

function encodeRequest(content: Omit<SeenRequest, 'tag'>): Uint8Array {
  return sealJson({ format: 1, ...content }).bytes;
}

/** Null: it is damaged, or of another release; nobody can answer it, and the next replaces it. */
function decodeRequest(bytes: Uint8Array, tag: string): SeenRequest | null {
  const sealed = unsealJson(bytes);
  if ('problem' in sealed) return null;
  try {
    const from = new JsonField(sealed.content);
    from.get('format').whole(1, 1);
    return {
      id: from.get('id').text(),
      term: from.get('term').whole(1),
      request: readAsked(from.get('request')),
      answer: from.get('answer').orNull(readAnswer),
      tag,
    };
  } catch (error) {
    if (error instanceof FieldProblem) return null;
    throw error;
  }
}

function readAsked(from: JsonField): OperatorRequest {
  const kind = from.get('kind').oneOf('savepoint', 'stop');
  const textOf = (name: string): string | null => from.get(name).orNull((field) => field.text());
  if (kind === 'savepoint') return { kind, name: textOf('name') };
  const drain = from.get('drain').orNull((field) => field.flag());
  return { kind, drain, savepoint: textOf('savepoint') };
}

function readAnswer(from: JsonField): RequestAnswer {
  const kind = from.get('kind').oneOf('done', 'refused', 'withdrawn');
  const textOf = (name: string): string | null => from.get(name).orNull((field) => field.text());
  switch (kind) {
    case 'withdrawn':
      return { kind };
    case 'refused':
      return {
        kind,
        code: from.get('code').text(),
        message: from.get('message').text(),
        hint: textOf('hint'),
      };
    case 'done':
      return {
        kind,
        checkpoint: from.get('checkpoint').orNull((field) => field.whole(1)),
        name: textOf('name'),
        ending: from.get('ending').orNull((field) => field.oneOf('drained', 'suspended')),
      };
  }
}

export function refusal({ code, message, hint }: StreamErrorData): RequestAnswer & JsonValue {
  return { kind: 'refused', code, message, hint };
}

function noDriver({ pipeline }: PipelineKeys): StreamError {
  return storageError({
    code: 'no-driver',
    message: `could not ask the driver of "${pipeline}": none runs over this store`,
    hint: 'is it the right store? a run that has ended keeps its last checkpoints',
    fields: { pipeline },
  });
}

function busy({ pipeline }: PipelineKeys): StreamError {
  return storageError({
    code: 'request-busy',
    message: `could not ask the driver of "${pipeline}": it has not answered another request yet`,
    hint: 'wait for that one, and ask again',
    fields: { pipeline },
  });
}
