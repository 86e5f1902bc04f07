// Where everything of one pipeline lies in a store: a folder of the pipeline's name.
//
//   <pipeline>/manifests/<sequence>.json
//   <pipeline>/savepoints/<sequence>.json: marks a manifest as a savepoint's, should it be damaged
//   <pipeline>/savepoints/<sequence>.deleted.json: somebody has deleted that savepoint
//   <pipeline>/state/<term>-<worker>-<incarnation>/<stage>-<partition>-<batch>-<base|delta>
//   <pipeline>/log/<history>/<writer>/<number>
//   <pipeline>/log-files/<history>/<writer>/<segment>.log: of runs of one host, in a folder
//   <pipeline>/range-logs.json: where ranges are logged outside the store, now and before
//   <pipeline>/lease.json, <pipeline>/journal.json
//   <pipeline>/request.json: what an operator asks of the driver, and its answer

import { keyPart, nameOfKeyPart, numberPart } from './blob-key.ts';

export type PipelineKeys = {
  readonly pipeline: string;
  /** Ends in `/`, as do all folders here. */
  readonly folder: string;
  readonly manifests: string;
  readonly savepoints: string;
  readonly state: string;
  readonly log: string;
  readonly rangeLogs: string;
  readonly lease: string;
  readonly journal: string;
  readonly request: string;
};

export function pipelineKeys(pipeline: string): PipelineKeys {
  const folder = `${keyPart(pipeline)}/`;
  return {
    pipeline,
    folder,
    manifests: `${folder}manifests/`,
    savepoints: `${folder}savepoints/`,
    state: `${folder}state/`,
    log: `${folder}log/`,
    rangeLogs: `${folder}range-logs.json`,
    lease: `${folder}lease.json`,
    journal: `${folder}journal.json`,
    request: `${folder}request.json`,
  };
}

/** The folder of a history's range log: another history numbers its micro-batches anew. */
export function logFolder({ log }: PipelineKeys, history: string): string {
  return `${log}${keyPart(history)}/`;
}

/** Where a history's range log has files instead: they are no blobs, and no blobs lie there. */
export function fileLogFolder({ folder }: PipelineKeys, history: string): string {
  return `${folder}log-files/${keyPart(history)}/`;
}

export function manifestKey({ manifests }: PipelineKeys, sequence: number): string {
  return `${manifests}${numberPart(sequence)}.json`;
}

export function savepointKey({ savepoints }: PipelineKeys, sequence: number): string {
  return `${savepoints}${numberPart(sequence)}.json`;
}

export function deletedSavepointKey({ savepoints }: PipelineKeys, sequence: number): string {
  return `${savepoints}${numberPart(sequence)}.deleted.json`;
}

export function sequenceOfSavepoint(key: string): number | null {
  const match = /\/savepoints\/(\d+)\.json$/.exec(key);
  return match === null ? null : Number(match[1]);
}

export function sequenceOfDeletedSavepoint(key: string): number | null {
  const match = /\/savepoints\/(\d+)\.deleted\.json$/.exec(key);
  return match === null ? null : Number(match[1]);
}

export function sequenceOfManifest(key: string): number | null {
  const match = /\/manifests\/(\d+)\.json$/.exec(key);
  return match === null ? null : Number(match[1]);
}

/** The pipeline a manifest belongs to. */
export function pipelineOfManifest(key: string): string | null {
  const match = /^([^/]+)\/manifests\/\d+\.json$/.exec(key);
  return match === null ? null : nameOfKeyPart(match[1] as string);
}

/** Who writes state: one life of one worker, under one driver. Two lives never share a folder. */
export type StateWriter = {
  readonly term: number;
  readonly worker: number;
  readonly incarnation: number;
};

export type StateName = {
  readonly stage: number;
  readonly partition: number;
  readonly batch: number;
  readonly kind: 'base' | 'delta';
};

/** The key of a state object below its pipeline's folder, as manifests hold it. */
export function stateKey(writer: StateWriter, name: StateName): string {
  const { term, worker, incarnation } = writer;
  const { stage, partition, batch, kind } = name;
  const file = `${stage}-${partition}-${numberPart(batch)}-${kind}`;
  return `state/${term}-${worker}-${incarnation}/${file}`;
}

/** Term and micro-batch of a state object's key; null: not one of ours. */
export function partsOfStateKey(key: string): { term: number; batch: number } | null {
  const match = /^state\/(\d+)-\d+-\d+\/\d+-\d+-(\d+)-(?:base|delta)$/.exec(key);
  return match === null ? null : { term: Number(match[1]), batch: Number(match[2]) };
}
