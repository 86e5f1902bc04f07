// The driver's journal: the few things that a successor must know and no checkpoint holds, as one
// blob that is replaced by compare-and-swap. Opening it raises its term, which fences every driver
// before: what a successor has read is the last that its predecessor could write.

import type { StreamError } from '../../base/stream-error.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { storeRacesMax } from '../limits.ts';
import { FieldProblem, JsonField } from './json-fields.ts';
import { sealJson, unsealJson } from './sealed-json.ts';
import { storageError } from './storage-errors.ts';
import type { StoreScript } from './store-script.ts';
import { createBlob, getBlob, replaceBlob } from './store-script.ts';

export type OpenJournal = {
  readonly term: number;
  /** Writes so far, of all terms: two contents are never the same. */
  readonly number: number;
  readonly tag: string;
  /** Null: nothing has been written yet. */
  readonly body: JsonValue;
};

type Content = Omit<OpenJournal, 'tag'> & { readonly format: 1; readonly holder: string };

/** Throws `fenced` or `lease-damaged`. */
export function* openJournal(
  key: string,
  driver: { readonly term: number; readonly holder: string },
): StoreScript<OpenJournal> {
  for (let races = 0; races < storeRacesMax; races++) {
    const found = yield* readJournal(key);
    const before = found?.content ?? null;
    if (before !== null && before.term >= driver.term) {
      const own = before.term === driver.term && before.holder === driver.holder;
      if (own) return { ...before, tag: found!.tag };
      throw fencedBy(key, driver.term, before);
    }
    const { bytes } = sealJson({
      ...driver,
      format: 1,
      number: (before?.number ?? 0) + 1,
      body: before?.body ?? null,
    } satisfies Content);
    if (found === null) yield* createBlob(key, bytes);
    else yield* replaceBlob(key, { bytes, tag: found.tag });
    // Who has won is in the journal, whatever the answer was.
  }
  throw tooManyRaces(key, driver.term);
}

/** Throws `fenced`. */
export function* writeJournal(
  key: string,
  open: OpenJournal & { readonly holder: string },
  body: JsonValue,
): StoreScript<OpenJournal> {
  const { term, holder } = open;
  let before: { readonly number: number; readonly tag: string } = open;
  for (let races = 0; races < storeRacesMax; races++) {
    const number = before.number + 1;
    const { bytes, checksum } = sealJson({
      format: 1,
      term,
      holder,
      number,
      body,
    } satisfies Content);
    const tag = yield* replaceBlob(key, { bytes, tag: before.tag });
    if (tag !== null) return { term, number, tag, body };
    const found = yield* readJournal(key);
    const isOwn = found?.content.term === term && found.content.holder === holder;
    if (found === null || !isOwn) throw fencedBy(key, term, found?.content ?? null);
    // Our own: this write, whose answer was lost, or one before that was given up too early.
    if (found.checksum === checksum) return { term, number, tag: found.tag, body };
    before = { number: found.content.number, tag: found.tag };
  }
  throw tooManyRaces(key, term);
}

/** What is written, without opening it. */
export function* readJournal(
  key: string,
): StoreScript<{ content: Content; checksum: string; tag: string } | null> {
  const blob = yield* getBlob(key);
  if (blob === null) return null;
  const sealed = unsealJson(blob.bytes);
  if ('problem' in sealed) throw damaged(key, sealed.problem);
  const from = new JsonField(sealed.content);
  try {
    const content: Content = {
      format: from.get('format').whole(1, 1) as 1,
      term: from.get('term').whole(1),
      holder: from.get('holder').text(),
      number: from.get('number').whole(1),
      body: from.get('body').value,
    };
    return { content, checksum: sealed.checksum, tag: blob.tag };
  } catch (error) {
    if (error instanceof FieldProblem) throw damaged(key, error.message);
    throw error;
  }
}

function damaged(key: string, problem: string): StreamError {
  return storageError({
    code: 'lease-damaged',
    message: `could not use the journal "${key}": ${problem}`,
    hint: 'restore it from a backup; without it a driver does not know what was permitted',
    fields: { key },
  });
}

function tooManyRaces(key: string, term: number): StreamError {
  return storageError({
    code: 'store-failed',
    message: `could not write the journal "${key}": lost ${storeRacesMax} races`,
    hint: 'do several drivers run the same pipeline over the same store?',
    fields: { key, term },
  });
}

function fencedBy(key: string, term: number, found: Content | null): StreamError {
  const by = found === null ? 'it is gone' : `it belongs to term ${found.term}`;
  return storageError({
    code: 'fenced',
    message: `could not write the journal "${key}" in term ${term}: ${by}`,
    hint: 'another driver has taken over; this one must stop',
    fields: { key, term, byTerm: found?.term ?? null },
  });
}
