// `mizzle checkpoints`: what lies in a store, and whether it is whole; gives savepoints up. A job
// may run meanwhile.

import process from 'node:process';
import { formatBytes, formatTable, formatTime } from '../../base/format.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { VerifiedCheckpoint } from '../../runtime/storage/checkpoint-store.ts';
import { parseOptions } from '../options.ts';
import {
  checkpointNumber,
  checkpointNumbered,
  checkpointsOf,
  onlyOne,
  pipelinesOf,
  storeHelp,
  storeOf,
  storeOptions,
} from '../stored-checkpoints.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle checkpoints list|show|verify|delete --store STORE [options]

  list                 the checkpoints of all pipelines in a store, oldest first
  show [NUMBER]        one of them in full: stages, sources, sinks, state; without a number the
                       newest that is whole
  verify               reads everything, state too, and says what is damaged or missing
  delete SAVEPOINT     gives a savepoint up, by its number or name; what only it needs is deleted,
                       state once it is an hour old. Other checkpoints are deleted by the job

${storeHelp}
Options:
  --store STORE        where the checkpoints are
  --pipeline NAME      only this pipeline; \`show\` and \`delete\` need it if there are several
  --json               one JSON object a checkpoint, on a line each

Exit codes: 0 done, 1 failed or something is damaged, 2 wrong command line.
`;

const actions = ['list', 'show', 'verify', 'delete'] as const;

export const checkpointsCommand = {
  summary: 'lists, shows, verifies and deletes checkpoints in a store',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('checkpoints', argv, storeOptions);
    const { values, files } = commandLine;
    const [action, number, ...more] = files;
    const store = await storeOf(commandLine);
    const takesOne = action === 'show' || action === 'delete';
    if (more.length > 0 || (number !== undefined && !takesOne)) {
      throw new UsageError(`could not use "${files.at(-1)}"`, 'see `mizzle checkpoints --help`');
    }
    const pipelines = await pipelinesOf(store, commandLine);
    const output: Output = { isJson: values['json'] === true };
    switch (action) {
      case 'list':
        return list(store, pipelines, output);
      case 'show':
        return show(store, onlyOne(store, pipelines), {
          number: checkpointNumber(number),
          ...output,
        });
      case 'verify':
        return verify(store, pipelines, output);
      case 'delete':
        return giveUp(store, onlyOne(store, pipelines), number);
      default:
        throw new UsageError(
          action === undefined ? 'say what to do' : `could not find "checkpoints ${action}"`,
          `one of ${actions.join(', ')}; see \`mizzle checkpoints --help\``,
        );
    }
  },
};

type Output = { readonly isJson: boolean };

async function list(
  store: BlobStore,
  pipelines: readonly string[],
  { isJson }: Output,
): Promise<number> {
  const rows: (readonly string[])[] = [];
  for (const pipeline of pipelines) {
    for (const manifest of await checkpointsOf(store, pipeline).list()) {
      const { sequence, batch, term, createdMs, savepoint } = manifest;
      const { objects, bytes } = stateSize(manifest);
      if (isJson) {
        const created = formatTime(createdMs);
        say(json({ pipeline, sequence, batch, term, created, objects, bytes, savepoint }));
        continue;
      }
      const numbers = [sequence, batch, term, objects].map(String);
      const label = savepoint === null ? '' : `savepoint "${savepoint}"`;
      rows.push([pipeline, ...numbers, formatBytes(bytes), formatTime(createdMs), label]);
    }
  }
  if (isJson) return 0;
  if (rows.length === 0) {
    say(`no checkpoints in ${store.description}`);
    return 0;
  }
  const head = ['pipeline', 'number', 'batch', 'term', 'objects', 'state', 'made', ''];
  say(formatTable(head, rows));
  return 0;
}

async function show(
  store: BlobStore,
  pipeline: string,
  { number, isJson }: Output & { readonly number: number | null },
): Promise<number> {
  const manifest = await checkpointNumbered(store, pipeline, number);
  say(isJson ? json(manifest) : described(manifest));
  return 0;
}

async function verify(
  store: BlobStore,
  pipelines: readonly string[],
  { isJson }: Output,
): Promise<number> {
  let damaged = 0;
  let count = 0;
  for (const pipeline of pipelines) {
    for (const verified of await checkpointsOf(store, pipeline).verify()) {
      count++;
      if (verified.problems.length > 0) damaged++;
      say(isJson ? json(verdict(pipeline, verified)) : verdictText(pipeline, verified));
    }
  }
  if (!isJson) say(`${count - damaged} of ${count} checkpoints in ${store.description} are whole`);
  return damaged === 0 ? 0 : 1;
}

async function giveUp(
  store: BlobStore,
  pipeline: string,
  which: string | undefined,
): Promise<number> {
  if (which === undefined) throw new UsageError('say which savepoint', 'give its number or name');
  const checkpoints = checkpointsOf(store, pipeline);
  const found = (await checkpoints.list()).findLast(
    ({ sequence, savepoint }) => String(sequence) === which || savepoint === which,
  );
  if (found === undefined || found.savepoint === null) {
    throw storageError({
      code: found === undefined ? 'checkpoint-not-found' : 'no-savepoint',
      message: `could not delete the savepoint "${which}" of "${pipeline}": it is none`,
      hint: 'see `mizzle checkpoints list`; other checkpoints are deleted by the job itself',
      fields: { store: store.description, pipeline },
    });
  }
  await checkpoints.deleteSavepoint(found.sequence);
  const { deletedManifests, deletedObjects } = await checkpoints.retain();
  const gone = deletedManifests === 0 ? 'it stays among the last checkpoints' : 'it is gone';
  say(
    `the savepoint "${found.savepoint}" of "${pipeline}" is kept no more: ${gone}, and ` +
      `${deletedObjects} objects with it`,
  );
  return 0;
}

function verdict(pipeline: string, { key, manifest, problems }: VerifiedCheckpoint): unknown {
  const sequence = manifest?.sequence ?? null;
  return { pipeline, sequence, key, batch: manifest?.batch ?? null, problems };
}

function verdictText(pipeline: string, { key, manifest, problems }: VerifiedCheckpoint): string {
  const name = manifest === null ? key : `${pipeline} ${manifest.sequence}`;
  if (problems.length === 0) return `whole    ${name}`;
  return [`DAMAGED  ${name}`, ...problems.map((problem) => `         ${problem}`)].join('\n');
}

function described(manifest: CheckpointManifest): string {
  const { objects, bytes } = stateSize(manifest);
  const { savepoint } = manifest;
  const lines = [
    `checkpoint ${manifest.sequence} of "${manifest.pipeline}"`,
    ...(savepoint === null ? [] : [`  savepoint    "${savepoint}"`]),
    `  micro-batch  ${manifest.batch}`,
    `  made         ${formatTime(manifest.createdMs)}, in term ${manifest.term}`,
    `  history      ${manifest.history}`,
    `  plan         ${manifest.planHash}`,
    `  state        ${formatBytes(bytes)} in ${objects} objects`,
  ];
  for (const { stage, source, partitions, operators } of manifest.structure.stages) {
    const from = source === null ? '' : ` of ${source}`;
    lines.push(`stage ${stage}${from}, ${partitions} partitions`);
    for (const { id, kind, state } of operators) {
      lines.push(`  ${id} (${kind})`);
      if (state === null) continue;
      lines.push(...state.keys.map((key) => `    key         ${named(key)}`));
      if (state.window !== '') lines.push(`    window      ${state.window}`);
      lines.push(...state.aggregates.map((aggregate) => `    aggregate   ${named(aggregate)}`));
      lines.push(...state.columns.map((column) => `    column      ${named(column)}`));
    }
    for (const partition of manifest.state.filter((found) => found.stage === stage)) {
      const size = partition.objects.reduce((sum, object) => sum + object.bytes, 0);
      const deltas = partition.objects.filter(({ kind }) => kind === 'delta').length;
      lines.push(`  partition ${partition.partition}: ${formatBytes(size)}, ${deltas} deltas`);
    }
  }
  for (const { source, partitions } of manifest.sources) {
    lines.push(`source ${source}, ${partitions.length} partitions with ranges`);
  }
  for (const { sink, partitions } of manifest.sinks) {
    const through = partitions.map(({ partition, batch }) => `${partition}: ${batch}`).join(', ');
    lines.push(`sink ${sink}, visible through ${through}`);
  }
  return lines.join('\n');
}

function named({ name, text }: { readonly name: string; readonly text: string }): string {
  return `${name} = ${text}`;
}

function stateSize({ state }: CheckpointManifest): { objects: number; bytes: number } {
  const objects = state.flatMap((partition) => partition.objects);
  return { objects: objects.length, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function json(value: unknown): string {
  return JSON.stringify(value);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
