// What makes a run durable: where its checkpoints and its range log are, and as which driver's run
// the log is written. Plain data that travels to every worker, and the handles that come of it.

import { join } from 'node:path';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { RangeLog } from '../../ports/range-log.ts';
import type { PlacementVersion, Term } from '../../control/protocol/ids.ts';
import type { WorkerLife } from '../../control/protocol/messages.ts';
import type { Reach } from '../../control/protocol/template.ts';
import type { KeptLimits } from '../../control/worker/spill-policy.ts';
import { fileLogFolder, logFolder, pipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { KafkaLogs } from './kafka-logs.ts';
import { openKafkaLogs } from './kafka-logs.ts';
import { DirectoryStore } from '../storage/directory-store.ts';
import { FileRangeLog } from '../storage/file-range-log.ts';
import { JoinedRangeLog } from '../storage/joined-range-log.ts';
import { ObjectRangeLog } from '../storage/object-range-log.ts';
import { openStore, parseStoreAddress } from '../storage/open-store.ts';

export type Durability = {
  /** The store's address, as the user gave it; keys are in the environment of each host. */
  readonly store: string;
  /** Each history has a range log of its own. */
  readonly history: string;
  /** The driver's epoch. */
  readonly term: number;
  /** The run goes on where an earlier one was, in the same history. */
  readonly resumes: boolean;
  /** The histories before this one, whose output stays; null: sinks keep none but their own. */
  readonly keeps: readonly string[] | null;
  readonly checkpointIntervalMs: number;
  /** What each worker may keep until a checkpoint covers it. */
  readonly keptLimits: KeptLimits;
  /** Where kept blocks go that memory has no room for; null: the folder for temporary files. */
  readonly spillFolder: string | null;
  /** All workers are of one host, so the range log may be files of its own disk. */
  readonly isOneHost: boolean;
  readonly kafkaLogs: KafkaLogs;
};

export type OpenDurability = {
  readonly store: BlobStore;
  readonly log: RangeLog;
  /** Ends connections; what writes or reads the log is closed before. */
  close(): Promise<void>;
};

/** What says where a history's range log is. */
export type LogPlace = Pick<Durability, 'store' | 'history' | 'isOneHost' | 'kafkaLogs'>;

export async function openDurability(
  { store: address, history, isOneHost, kafkaLogs }: LogPlace,
  pipeline: string,
  nowMs: () => number,
): Promise<OpenDurability> {
  const store = await openStore(address);
  const parsed = parseStoreAddress(address);
  const keys = pipelineKeys(pipeline);
  const objects: RangeLog = new ObjectRangeLog(store, logFolder(keys, history), nowMs);
  const isFolder = parsed.kind === 'directory' && store instanceof DirectoryStore;
  const files: readonly RangeLog[] = isFolder
    ? [new FileRangeLog(join(parsed.folder, fileLogFolder(keys, history)))]
    : [];
  // An append to a file costs a tenth of what a new object does.
  const inStore: readonly RangeLog[] = isOneHost ? [...files, objects] : [objects, ...files];
  const inKafka = await openKafkaLogs(kafkaLogs, { pipeline, history });
  const [written, ...others] =
    kafkaLogs.writes && inKafka.length > 0 ? [...inKafka, ...inStore] : [...inStore, ...inKafka];
  const log = others.length === 0 ? written! : new JoinedRangeLog(written!, others);
  return { store, log, close: async () => log.close?.() };
}

/** One life of a worker, as a part of the names of its logs. */
export function lifeName({ worker, incarnation }: WorkerLife): string {
  return `w${worker}-i${incarnation}`;
}

/**
 * The name of a worker's log, with the term in which it was begun. Where all is rolled back after a
 * loss, everybody begins a new one: what the old ones do not hold by then is decided anew.
 */
export function logName(
  of: WorkerLife & {
    readonly term: Term;
    readonly version: PlacementVersion;
    readonly reach: Reach;
  },
): string {
  const { reach, term, version } = of;
  const life = `t${term}-${lifeName(of)}`;
  return reach === 'all' ? `${life}-v${version}` : life;
}

export function driverLogName(term: Term): string {
  return `t${term}-driver`;
}

/** `life`: of the worker that writes it; null: a driver does. `term` is 0 where it is nobody's. */
export function parseLogName(name: string): {
  readonly term: number;
  readonly life: string | null;
} {
  const match = /^t(\d+)-(?:(w\d+-i\d+)(?:-v\d+)?)?/.exec(name);
  return { term: Number(match?.[1] ?? 0), life: match?.[2] ?? null };
}
