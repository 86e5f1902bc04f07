// Where a durable run goes on: at the newest checkpoint, in the same history; or at one that the
// user names, which opens a new history unless it is the newest. The new history counts on behind
// everything that may be visible, so that no micro-batch's number means two things.

import type { OutputChoice } from '../../api/job.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { RangeLog } from '../../ports/range-log.ts';
import type { CheckpointStore } from '../storage/checkpoint-store.ts';

export type StartPoint = {
  /** What the run goes on from; null: from nothing. */
  readonly latest: CheckpointManifest | null;
  /** A new history begins; null: the one of `latest` goes on. */
  readonly fork: Fork | null;
};

export type Fork = {
  /** The histories whose output stays, each in some sink; null: sinks begin anew. */
  readonly keeps: readonly string[] | null;
};

export type NamedStart = {
  /** A number, or the name of a savepoint. */
  readonly from: number | string;
  /** Null: the user has not said. */
  readonly output: OutputChoice | null;
  readonly newHistory: string;
  readonly openLog: (history: string) => Promise<RangeLog>;
  /** Of the driver that starts. */
  readonly term: number;
};

/** Throws `checkpoint-not-found`, `checkpoint-damaged` or `output-undecided`. */
export async function namedStart(
  checkpoints: CheckpointStore,
  { from, output, newHistory, openLog, term }: NamedStart,
): Promise<StartPoint> {
  const all = await checkpoints.list();
  const found = all.findLast(({ sequence, savepoint }) =>
    typeof from === 'number' ? sequence === from : savepoint === from,
  );
  const { pipeline } = checkpoints;
  if (found === undefined) throw notFound(pipeline, from);
  const [problem] = await checkpoints.problemsOf(found);
  if (problem !== undefined) throw damaged(found, problem);
  const newest = all.at(-1)!;
  if (found === newest && output === null) return { latest: found, fork: null };
  if (output === null) throw undecided(found, newest);
  const log = await openLog(newest.history);
  await log.fence(term);
  const batch = await lastVisible(all, log);
  return {
    latest: { ...found, batch, history: newHistory, savepoint: null },
    fork: { keeps: output === 'keep' ? [...new Set(all.map(({ history }) => history))] : null },
  };
}

/**
 * Nothing is visible beyond: whatever became so has its ranges in the log, or in a checkpoint.
 * Closes the log, so that this stays true.
 */
async function lastVisible(all: readonly CheckpointManifest[], log: RangeLog): Promise<number> {
  await Promise.all((await log.writers()).map((writer) => log.seal(writer)));
  const logged = await log.read(all.at(-1)!.batch);
  return Math.max(...all.map(({ batch }) => batch), ...logged.slice(-1).map(({ batch }) => batch));
}

function notFound(pipeline: string, from: number | string): Error {
  const which = typeof from === 'number' ? `checkpoint ${from}` : `the savepoint "${from}"`;
  return storageError({
    code: 'checkpoint-not-found',
    message: `could not start "${pipeline}" from ${which}: there is none`,
    hint: 'see `mizzle checkpoints list`; is it the right store?',
    fields: { pipeline, from },
  });
}

function damaged({ pipeline, sequence }: CheckpointManifest, problem: string): Error {
  return storageError({
    code: 'checkpoint-damaged',
    message: `could not start "${pipeline}" from checkpoint ${sequence}: ${problem}`,
    hint: '`mizzle checkpoints verify` shows which are whole',
    fields: { pipeline, checkpoint: sequence },
  });
}

function undecided(found: CheckpointManifest, newest: CheckpointManifest): Error {
  const { pipeline, sequence } = found;
  return storageError({
    code: 'output-undecided',
    message:
      `could not start "${pipeline}" from checkpoint ${sequence}: rows that came after it may be ` +
      `visible, through checkpoint ${newest.sequence} and beyond`,
    hint:
      'say what becomes of them: `--output keep` leaves them and adds the new ones, which may ' +
      'say the same again; `--output new` lets sinks begin anew, elsewhere or with overwrite',
    fields: { pipeline, checkpoint: sequence, newest: newest.sequence },
  });
}
