// `mizzle checkpoints`: what lies in a store, and whether it is whole. Reads only; a job may run.

import process from 'node:process';
import { formatBytes, formatTable, formatTime } from '../../base/format.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { VerifiedCheckpoint } from '../../runtime/storage/checkpoint-store.ts';
import { CheckpointStore, pipelinesIn } from '../../runtime/storage/checkpoint-store.ts';
import { openStore } from '../../runtime/storage/open-store.ts';
import { parseOptions } from '../options.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle checkpoints list|show|verify --store STORE [options]

  list                 the checkpoints of all pipelines in a store, oldest first
  show [NUMBER]        one of them in full: stages, sources, sinks, state; without a number the
                       newest that is whole
  verify               reads everything, state too, and says what is damaged or missing

STORE is a folder, or s3://BUCKET/PREFIX?region=REGION. More parameters of an S3 store, joined by &:
  endpoint=URL         a store that is not Amazon's: https://HOST:PORT
  path-style=true      the bucket in the path, not in the host's name (default with an endpoint)
  access-key-env=NAME  environment variable with the key (default AWS_ACCESS_KEY_ID)
  secret-key-env=NAME  environment variable with its secret (default AWS_SECRET_ACCESS_KEY)

Options:
  --store STORE        where the checkpoints are
  --pipeline NAME      only this pipeline; \`show\` needs it if there are several
  --json               one JSON object a checkpoint, on a line each

Exit codes: 0 done, 1 failed or something is damaged, 2 wrong command line.
`;

const actions = ['list', 'show', 'verify'] as const;

export const checkpointsCommand = {
  summary: 'lists, shows and verifies checkpoints in a store',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const { values, files } = parseOptions('checkpoints', argv, {
      store: { type: 'string' },
      pipeline: { type: 'string' },
      json: { type: 'boolean' },
    });
    const [action, number, ...more] = files;
    const address = values['store'];
    if (typeof address !== 'string') {
      throw new UsageError('--store is missing', 'give the folder or s3:// address of the store');
    }
    if (more.length > 0 || (number !== undefined && action !== 'show')) {
      throw new UsageError(`could not use "${files.at(-1)}"`, 'see `mizzle checkpoints --help`');
    }
    const store = await openStore(address);
    const named = values['pipeline'];
    const pipelines = typeof named === 'string' ? [named] : await pipelinesIn(store);
    const output: Output = { isJson: values['json'] === true };
    switch (action) {
      case 'list':
        return list(store, pipelines, output);
      case 'show':
        return show(store, onlyOne(store, pipelines), { number: numberOf(number), ...output });
      case 'verify':
        return verify(store, pipelines, output);
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
  const checkpoints = checkpointsOf(store, pipeline);
  const manifest =
    number === null
      ? await checkpoints.latest()
      : ((await checkpoints.list()).find(({ sequence }) => sequence === number) ?? null);
  if (manifest === null) throw notFound(store, pipeline, number);
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
  for (const { stage, source, partitions, operators } of manifest.structure) {
    const from = source === null ? '' : ` of ${source}`;
    lines.push(`stage ${stage}${from}, ${partitions} partitions`);
    for (const { id, kind, state } of operators) {
      lines.push(`  ${id} (${kind})`);
      if (state === null) continue;
      lines.push(`    keys        ${state.keys.join(', ')}`, `    window      ${state.window}`);
      lines.push(...state.aggregates.map((aggregate) => `    aggregate   ${aggregate}`));
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

function stateSize({ state }: CheckpointManifest): { objects: number; bytes: number } {
  const objects = state.flatMap((partition) => partition.objects);
  return { objects: objects.length, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function checkpointsOf(store: BlobStore, pipeline: string): CheckpointStore {
  return new CheckpointStore(store, {
    pipeline,
    nowMs: Date.now,
    warn: (text, { file }) => process.stderr.write(`warning: "${file}": ${text}\n`),
  });
}

function onlyOne(store: BlobStore, pipelines: readonly string[]): string {
  const [pipeline] = pipelines;
  if (pipeline === undefined) throw notFound(store, null, null);
  if (pipelines.length === 1) return pipeline;
  const names = pipelines.map((name) => `"${name}"`).join(', ');
  throw new UsageError('the store has several pipelines', `give --pipeline, one of ${names}`);
}

function numberOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`could not use "${text}" as a number`, 'see `mizzle checkpoints list`');
}

function notFound(store: BlobStore, pipeline: string | null, number: number | null): Error {
  const which = number === null ? 'a checkpoint' : `checkpoint ${number}`;
  const owner = pipeline === null ? '' : ` of "${pipeline}"`;
  return storageError({
    code: 'checkpoint-not-found',
    message: `could not find ${which}${owner} in "${store.description}"`,
    hint: 'see `mizzle checkpoints list`; is it the right store?',
    fields: { store: store.description, pipeline, number },
  });
}

function json(value: unknown): string {
  return JSON.stringify(value);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
