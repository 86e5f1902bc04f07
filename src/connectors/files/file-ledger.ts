// The ledger of a file sink: for each sink partition one empty file, the mark, whose name says who
// writes and which micro-batch is committed. A commit renames it, and so does a new writer that
// takes over; a rename happens or not, and of two that start from one name only one happens. So a
// writer whose mark has another name commits nothing more. A mark never goes away in between.

import { createHash, randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { SinkContext } from '../../ports/sink.ts';
import { fenced, isNewer } from '../fenced.ts';
import { errnoOf } from './file-errors.ts';
import type { FileOperations } from './file-operations.ts';

export type Mark = {
  readonly term: number;
  readonly incarnation: number;
  /** Of the writer: differs each time one opens. */
  readonly token: string;
  /** -1: none. */
  readonly batch: number;
  /** What the sink needs to know about that micro-batch: letters and digits. */
  readonly detail: string;
};

export type LedgerPlace = {
  readonly operations: FileOperations;
  /** Holds the ledger, and belongs to it. */
  readonly root: string;
  /** What is written to, as the user named it. */
  readonly target: string;
};

/** A folder listing that is read while a name changes may miss both names. */
const looksMax = 200;
const lookAgainMs = 5;
const markName = /^mark-(\d+)-(\d+)-([0-9a-f]+)-(none|\d+)-([0-9a-z]+)$/;
const nobody: Mark = { term: 0, incarnation: 0, token: '0', batch: -1, detail: '0' };

/** The ledger's folder for one history of one sink. */
function historyFolder(root: string, { name, run }: SinkContext): string {
  const key = JSON.stringify([run.pipeline, run.history, name]);
  return join(root, createHash('sha256').update(key).digest('hex').slice(0, 24));
}

/** Whether this history has written here before. */
export async function hasLedger(
  { operations, root }: LedgerPlace,
  context: SinkContext,
): Promise<'own' | 'other' | 'none'> {
  if (operations.exists(historyFolder(root, context))) return 'own';
  return (await operations.list(root)).length > 0 ? 'other' : 'none';
}

/**
 * Ends all ledgers there, and at one stroke everybody who writes by them. What `act` does, at once,
 * to the output that there is then, is done only until the new ledger has started.
 */
export async function replaceLedgers(
  place: LedgerPlace,
  context: SinkContext,
  act: (isDue: () => boolean) => Promise<void>,
  /** What there is of output that stays: its length, where the sink is one file. */
  keptBytes = 0,
): Promise<void> {
  const { operations, root } = place;
  const history = historyFolder(root, context);
  const isDue = (): boolean => !operations.exists(history);
  if (operations.exists(root) && isDue()) operations.renameNow(root, `${root}.${newToken()}.old`);
  await act(isDue);
  if (keptBytes > 0) await makeHistoryBehind(place, history, keptBytes);
  await operations.makeFolders(history);
  for (const path of await putAside(place)) await operations.remove(path);
}

/** A history appears together with what it begins behind. */
async function makeHistoryBehind(
  { operations, root }: LedgerPlace,
  history: string,
  keptBytes: number,
): Promise<void> {
  if (operations.exists(history)) return;
  const draft = join(root, `new-${newToken()}`);
  await operations.makeFolders(draft);
  const file = await operations.open(join(draft, `behind-${keptBytes}`), 'create');
  await file.close();
  await operations.rename(draft, history);
}

/** The length of what other histories have left in a file, and which stays. */
export async function keptBytesOf(
  { operations, root }: LedgerPlace,
  context: SinkContext,
): Promise<number> {
  const names = await operations.list(historyFolder(root, context));
  const lengths = names.map((name) => Number(/^behind-(\d+)$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...lengths);
}

/** Ledgers that were ended; as long as they lie there, the one that follows may be missing. */
export async function putAside({ operations, root }: LedgerPlace): Promise<readonly string[]> {
  const parent = dirname(root);
  const start = `${basename(root)}.`;
  const names = await operations.list(parent);
  return names
    .filter((name) => name.startsWith(start) && name.endsWith('.old'))
    .map((name) => join(parent, name));
}

/** Before any writer opens: takes away what is of writers that came to no mark. */
export async function tidyLedger(place: LedgerPlace, context: SinkContext): Promise<void> {
  const { operations, root } = place;
  const history = historyFolder(root, context);
  for (const name of await operations.list(history)) {
    if (name.startsWith('new-')) await operations.remove(join(history, name));
  }
}

/** The sink partitions that have a mark. */
export async function markedPartitions(
  { operations, root }: LedgerPlace,
  context: SinkContext,
): Promise<number[]> {
  const names = await operations.list(historyFolder(root, context));
  return names.filter((name) => /^p\d+$/.test(name)).map((name) => Number(name.slice(1)));
}

export class FileLedger {
  readonly partition: number;
  /** Belongs to the partition: the sink may keep files of its own there. */
  readonly folder: string;
  readonly #place: LedgerPlace;
  #mark: Mark;

  private constructor(place: LedgerPlace, at: { partition: number; folder: string; mark: Mark }) {
    this.#place = place;
    this.partition = at.partition;
    this.folder = at.folder;
    this.#mark = at.mark;
  }

  /** Takes the partition's mark over: from now on, older writers commit nothing. */
  static async take(
    place: LedgerPlace,
    partition: number,
    context: SinkContext,
  ): Promise<FileLedger> {
    const { operations, target } = place;
    const history = historyFolder(place.root, context);
    const folder = join(history, `p${partition}`);
    const token = newToken();
    for (let look = 0; look < looksMax; look++) {
      const names = await operations.list(folder);
      const marks = names.map(readMark).filter((mark) => mark !== null);
      const before = marks.toSorted((a, b) => b.batch - a.batch)[0];
      if (before === undefined) {
        if (names.length > 0) await sleep(lookAgainMs);
        else await makeFirstMark({ place, history, partition, context });
        continue;
      }
      if (isNewer(before, context.run)) throw fenced(target, partition);
      const { term, incarnation } = context.run;
      const mark: Mark = { ...before, term, incarnation, token };
      if (await moveMark(operations, folder, [before, mark])) {
        return new FileLedger(place, { partition, folder, mark });
      }
    }
    throw new StreamError({
      code: 'ledger-busy',
      message: `could not open "${target}": the ledger of partition ${partition} does not settle`,
      hint: `look who else writes below "${folder}"`,
      fields: { target, partition },
    });
  }

  get mark(): Mark {
    return this.#mark;
  }

  /** Whether no newer writer had taken over a moment ago. */
  isCurrent(): boolean {
    return this.#place.operations.exists(join(this.folder, nameOf(this.#mark)));
  }

  /** The commit itself. Rejects when a newer writer has taken over. */
  async advance(batch: number, detail: string): Promise<void> {
    const { operations, target } = this.#place;
    assert(batch > this.#mark.batch, 'micro-batches are committed in order, each once');
    const mark: Mark = { ...this.#mark, batch, detail };
    if (!(await moveMark(operations, this.folder, [this.#mark, mark]))) {
      throw fenced(target, this.partition);
    }
    this.#mark = mark;
  }
}

/** False: there is no such mark any more. */
async function moveMark(
  operations: FileOperations,
  folder: string,
  [from, to]: readonly [Mark, Mark],
): Promise<boolean> {
  try {
    await operations.rename(join(folder, nameOf(from)), join(folder, nameOf(to)));
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    // A network file system may have lost the answer and asked twice.
    return operations.exists(join(folder, nameOf(to)));
  }
}

/** A folder appears with a mark in it or not at all; where one is already, that one counts. */
async function makeFirstMark(where: {
  readonly place: LedgerPlace;
  readonly history: string;
  readonly partition: number;
  readonly context: SinkContext;
}): Promise<void> {
  const { place, history, partition, context } = where;
  const { operations } = place;
  if (!operations.exists(history)) {
    const isReplaced = (await hasLedger(place, context)) === 'other';
    throw isReplaced ? fenced(place.target, partition) : notThere(place);
  }
  const draft = join(history, `new-${newToken()}`);
  try {
    await operations.makeFolder(draft);
    const file = await operations.open(join(draft, nameOf(nobody)), 'create');
    await file.close();
    await operations.rename(draft, join(history, `p${partition}`));
  } catch (error) {
    await operations.remove(draft);
    // Somebody else was quicker, or a new run has put the history aside: the next look tells.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoOf(error))) throw error;
  }
}

function notThere(place: LedgerPlace): StreamError {
  return new StreamError({
    code: 'output-not-shared',
    message: `could not write to "${place.target}": its ledger "${place.root}" is not there`,
    hint: 'hosts must share the folder with the process that started the run; nobody may remove it',
    fields: { target: place.target, ledger: place.root },
  });
}

function nameOf({ term, incarnation, token, batch, detail }: Mark): string {
  return `mark-${term}-${incarnation}-${token}-${batch === -1 ? 'none' : batch}-${detail}`;
}

function readMark(name: string): Mark | null {
  const match = markName.exec(name);
  if (match === null) return null;
  const [, term, incarnation, token, batch, detail] = match;
  return {
    term: Number(term),
    incarnation: Number(incarnation),
    token: token!,
    batch: batch === 'none' ? -1 : Number(batch),
    detail: detail!,
  };
}

function newToken(): string {
  return randomBytes(6).toString('hex');
}
