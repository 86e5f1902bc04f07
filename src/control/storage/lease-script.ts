// The driver's lease: one blob, changed by compare-and-swap only. It says which term is the newest
// and who drives in it. Clocks decide when somebody tries to take it over, never who wins; and that
// a driver still believes to hold it protects nothing, for that there are terms.

import type { StreamError } from '../../base/stream-error.ts';
import type { StoredBlob } from '../../ports/blob-store.ts';
import { storeRacesMax } from '../limits.ts';
import { FieldProblem, JsonField } from './json-fields.ts';
import { sameBytes } from './same-bytes.ts';
import { sealJson, unsealJson } from './sealed-json.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, getBlob, replaceBlob } from './store-script.ts';

export type Lease = {
  readonly format: 1;
  readonly term: number;
  /** Who drives: unique to one life of one process. */
  readonly holder: string;
  readonly durationMs: number;
  readonly renewals: number;
  /** Given back: the next one need not wait. */
  readonly released: boolean;
};

export type SeenLease = { readonly lease: Lease; readonly tag: string };

/** Throws `lease-damaged`. */
export function* readLease(key: string): StoreScript<SeenLease | null> {
  const blob = yield* getBlob(key);
  return blob === null ? null : { lease: decodeLease(key, blob), tag: blob.tag };
}

/** Takes what was seen over, with the next term. Null: somebody else was faster. */
export function* takeLease(
  key: string,
  seen: SeenLease | null,
  claim: { readonly holder: string; readonly durationMs: number },
): StoreScript<SeenLease | null> {
  const term = (seen?.lease.term ?? 0) + 1;
  const lease: Lease = { ...claim, format: 1, term, renewals: 0, released: false };
  return yield* writeLease(key, lease, seen?.tag ?? null);
}

/** Throws `lease-lost`. */
export function* renewLease(key: string, held: SeenLease): StoreScript<SeenLease> {
  let before = held;
  for (let races = 0; races < storeRacesMax; races++) {
    const lease: Lease = { ...before.lease, renewals: before.lease.renewals + 1 };
    const tag = yield* replaceBlob(key, { bytes: sealJson(lease).bytes, tag: before.tag });
    if (tag !== null) return { lease, tag };
    const found = yield* readLease(key);
    const isOwn = found?.lease.term === lease.term && found.lease.holder === lease.holder;
    if (found === null || !isOwn || found.lease.released) {
      throw lost(key, held.lease, found?.lease ?? null);
    }
    // An earlier renewal whose answer was lost. When it was made is not known: renew once more.
    before = found;
  }
  throw lost(key, held.lease, before.lease);
}

/** Gives it back; if it is lost already, that is no error. */
export function* releaseLease(key: string, held: SeenLease): StoreScript<void> {
  yield* writeLease(key, { ...held.lease, released: true }, held.tag);
}

function* writeLease(
  key: string,
  lease: Lease,
  before: string | null,
): StoreScript<SeenLease | null> {
  const { bytes } = sealJson(lease);
  if (before === null) {
    if (!(yield* createBlob(key, bytes))) return null;
    const blob = yield* getBlob(key);
    return blob !== null && sameBytes(blob.bytes, bytes) ? { lease, tag: blob.tag } : null;
  }
  const tag = yield* replaceBlob(key, { bytes, tag: before });
  if (tag !== null) return { lease, tag };
  // A store may lose the answer to what it has done; the holder's name is in it, and nobody else's.
  const blob = yield* getBlob(key);
  return blob !== null && sameBytes(blob.bytes, bytes) ? { lease, tag: blob.tag } : null;
}

/** Watches a lease from outside: it may be taken when it has not changed for its own duration. */
export class LeaseWatch {
  #tag: string | null = null;
  #sinceMs = 0;

  /** How long to wait, ms, before one may try; 0: now. `nowMs` never goes back. */
  observe(nowMs: number, seen: SeenLease | null): number {
    if (seen === null || seen.lease.released) return 0;
    if (seen.tag !== this.#tag) {
      this.#tag = seen.tag;
      this.#sinceMs = nowMs;
    }
    return Math.max(0, this.#sinceMs + seen.lease.durationMs - nowMs);
  }
}

function decodeLease(key: string, { bytes }: StoredBlob): Lease {
  const sealed = unsealJson(bytes);
  if ('problem' in sealed) throw damaged(key, sealed.problem);
  const from = new JsonField(sealed.content);
  try {
    return {
      format: from.get('format').whole(1, 1) as 1,
      term: from.get('term').whole(1),
      holder: from.get('holder').text(),
      durationMs: from.get('durationMs').whole(1),
      renewals: from.get('renewals').whole(),
      released: from.get('released').flag(),
    };
  } catch (error) {
    if (error instanceof FieldProblem) throw damaged(key, error.message);
    throw error;
  }
}

function damaged(key: string, problem: string): StreamError {
  return storageError({
    code: 'lease-damaged',
    message: `could not use the lease "${key}": ${problem}`,
    hint: 'make sure that no driver runs, then delete it; the next driver makes a new one',
    fields: { key },
  });
}

function lost(key: string, own: Lease, found: Lease | null): StreamError {
  const by = found === null ? 'it is gone' : `"${found.holder}" drives in term ${found.term}`;
  return storageError({
    code: 'lease-lost',
    message: `could not renew the lease "${key}" of term ${own.term}: ${by}`,
    hint: 'another driver has taken over; this one must stop',
    fields: { key, term: own.term, byTerm: found?.term ?? null },
  });
}
