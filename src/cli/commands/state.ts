// `mizzle state`: what a checkpoint holds, as rows. Needs no pipeline, runs none of its functions,
// and only reads; a job may run.

import { once } from 'node:events';
import process from 'node:process';
import { closestName } from '../../base/closest-name.ts';
import { formatBytes, formatTable, formatTime } from '../../base/format.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import type { SavedState, StateRow } from '../../data/task/saved-state.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { CheckpointStore } from '../../runtime/storage/checkpoint-store.ts';
import type { OperatorState, PartitionRow } from '../checkpoint-state.ts';
import { operatorsOf, rowsOf, savedState } from '../checkpoint-state.ts';
import type { CommandLine } from '../options.ts';
import { parseOptions } from '../options.ts';
import type { StateChange } from '../state-difference.ts';
import { stateChanges } from '../state-difference.ts';
import { exactJson, fieldsText, valueText, windowText } from '../state-text.ts';
import {
  checkpointNotFound,
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

const help = `mizzle state list|get|diff|export --store STORE [options]

  list                 operators and sources with state: partitions, rows, bytes, watermark
  get                  rows of a key: --key NAME=VALUE, several times for several columns
  diff [FROM TO]       rows added (+), removed (-) and changed (~) between two checkpoints, by key
                       and window; without numbers from the last but one to the last
  export               every row as a line of JSON

A row is what an operator has of one key and window: its aggregates so far; of a custom one, what it
adds up in. A hopping window is kept in panes, which it shares. Of a stream that is broadcast it is
the latest row of the key. The pipeline itself is not needed.

${storeHelp}
Options:
  --store STORE        where the checkpoints are
  --pipeline NAME      of which pipeline, if the store has several
  --checkpoint N       of which checkpoint (default: the newest that is whole)
  --operator ID        only this operator; \`list\` shows them
  --key NAME=VALUE     \`get\`: only rows with this value in this column of the key, as \`get\`
                       shows it: 12.5, true, null; times are milliseconds since 1970
  --json               one JSON object a row, on a line each; int64 with all digits

Exit codes: 0 done, 1 failed, 2 wrong command line.

Example:
  mizzle state list --store state/
  mizzle state get --store state/ --key country=AT
  mizzle state diff 4 9 --store state/ --operator aggregate#0
`;

const actions = ['list', 'get', 'diff', 'export'] as const;
type Action = (typeof actions)[number];

export const stateCommand = {
  summary: 'reads the state in a checkpoint as rows',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('state', argv, {
      ...storeOptions,
      checkpoint: { type: 'string' },
      operator: { type: 'string' },
      key: { type: 'string', multiple: true },
    });
    const action = actionOf(commandLine);
    const output = new Output();
    try {
      await perform(action, await askedFor(commandLine), output);
      await output.flush();
    } catch (error) {
      // Whoever reads has seen enough.
      if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
    }
    return 0;
  },
};

type Asked = {
  readonly store: BlobStore;
  readonly pipeline: string;
  readonly checkpoints: CheckpointStore;
  readonly operator: string | null;
  readonly number: number | null;
  /** Two numbers, or none. */
  readonly between: readonly (number | null)[];
  readonly keys: ReadonlyMap<string, string>;
  readonly isJson: boolean;
};

function actionOf({ files, values, lists }: CommandLine): Action {
  const [name, ...more] = files;
  const action = actions.find((each) => each === name);
  if (action === undefined) {
    throw new UsageError(
      name === undefined ? 'say what to do' : `could not find "state ${name}"`,
      `one of ${actions.join(', ')}; see \`mizzle state --help\``,
    );
  }
  const mayHave = action === 'diff' ? [0, 2] : [0];
  if (!mayHave.includes(more.length)) {
    const hint = action === 'diff' ? 'give two numbers of checkpoints, or none' : 'see its --help';
    throw new UsageError(`could not use "${more.join(' ')}"`, hint);
  }
  if (action === 'diff' && values['checkpoint'] !== undefined) {
    throw new UsageError('could not use --checkpoint for two', 'give both: `state diff 4 9`');
  }
  if (action === 'get' && lists['key'] === undefined) {
    throw new UsageError('--key is missing', 'such as --key country=AT; for all rows: export');
  }
  if (action !== 'get' && lists['key'] !== undefined) {
    throw new UsageError(`could not use --key for "${action}"`, 'it is for `state get`');
  }
  return action;
}

async function askedFor(commandLine: CommandLine): Promise<Asked> {
  const { values, lists, files } = commandLine;
  const keys = new Map((lists['key'] ?? []).map(keyOption));
  const number = checkpointNumber(textOf(values['checkpoint']));
  const between = files.slice(1).map(checkpointNumber);
  const store = await storeOf(commandLine);
  const pipeline = onlyOne(store, await pipelinesOf(store, commandLine));
  return {
    store,
    pipeline,
    checkpoints: checkpointsOf(store, pipeline),
    operator: textOf(values['operator']) ?? null,
    number,
    between,
    keys,
    isJson: values['json'] === true,
  };
}

async function perform(action: Action, asked: Asked, output: Output): Promise<void> {
  if (action === 'diff') return diff(asked, output);
  const { store, pipeline, number, operator, isJson } = asked;
  const manifest = await checkpointNumbered(store, pipeline, number);
  const operators = operatorsOf(manifest, operator);
  const heading = `checkpoint ${manifest.sequence} of "${pipeline}", micro-batch ${manifest.batch}`;
  if (action !== 'export' && !isJson) await output.line(heading);
  switch (action) {
    case 'list':
      return list(asked, operators, output);
    case 'get':
      return get(asked, operators, output);
    default:
      for (const each of operators) {
        for await (const row of rowsOf(asked.checkpoints, each)) await output.line(rowJson(row));
      }
  }
}

async function list(
  { checkpoints, isJson }: Asked,
  operators: readonly OperatorState[],
  output: Output,
): Promise<void> {
  const lines: string[][] = [];
  for (const { operator, stage, partitions } of operators) {
    let rows = 0;
    let watermarkMs = Infinity;
    for (const partition of partitions) {
      const saved = await savedState(checkpoints, partition);
      for (const _ of saved.rows) rows++;
      watermarkMs = Math.min(watermarkMs, watermarkOf(saved));
    }
    const objects = partitions.flatMap((partition) => partition.objects);
    const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
    const watermark = partitions.length === 0 ? null : watermarkMs;
    if (isJson) {
      const counts = { partitions: partitions.length, rows, objects: objects.length, bytes };
      await output.line(exactJson({ operator, stage, ...counts, watermarkMs: watermark }));
      continue;
    }
    const numbers = [stage, partitions.length, rows].map(String);
    lines.push([operator, ...numbers, formatBytes(bytes), formatTime(watermark)]);
  }
  if (isJson) return;
  const head = ['operator', 'stage', 'partitions', 'rows', 'state', 'watermark'];
  await output.line(formatTable(head, lines));
}

function watermarkOf({ source, watermarkMs }: SavedState): number {
  return source?.watermarkMs ?? watermarkMs ?? -Infinity;
}

async function get(
  { checkpoints, keys, isJson }: Asked,
  operators: readonly OperatorState[],
  output: Output,
): Promise<void> {
  const known = new Set<string>();
  let found = 0;
  for (const each of operators) {
    const rows: PartitionRow[] = [];
    for await (const row of rowsOf(checkpoints, each)) {
      for (const name of Object.keys(row.keys)) known.add(name);
      if (!hasKeys(row, keys)) continue;
      found++;
      if (isJson) await output.line(rowJson(row));
      else rows.push(row);
    }
    if (rows.length > 0) await output.line(`${each.operator}\n${rowsTable(rows)}`);
  }
  for (const name of keys.keys()) {
    if (known.size > 0 && !known.has(name)) throw unknownKey(name, [...known]);
  }
  if (found === 0 && !isJson) await output.line('no such rows');
}

/** Names of key columns must be there in some operator; only some of them may be given. */
function hasKeys({ keys }: StateRow, wanted: ReadonlyMap<string, string>): boolean {
  for (const [name, text] of wanted) {
    if (!Object.hasOwn(keys, name) || valueText(keys[name]) !== text) return false;
  }
  return true;
}

async function diff(asked: Asked, output: Output): Promise<void> {
  const { checkpoints, operator, isJson } = asked;
  const [before, after] = await twoCheckpoints(asked);
  const left = new Map(operatorsOf(before, null).map((each) => [each.operator, each]));
  const right = new Map(operatorsOf(after, null).map((each) => [each.operator, each]));
  const names = [...new Set([...left.keys(), ...right.keys()])];
  if (operator !== null && !names.includes(operator)) operatorsOf(after, operator);
  if (!isJson) {
    const numbers = `from checkpoint ${before.sequence} to ${after.sequence}`;
    await output.line(`${numbers} of "${asked.pipeline}"`);
  }
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const name of names) {
    if (operator !== null && name !== operator) continue;
    for (const [old, now] of pairsOf(left.get(name), right.get(name))) {
      const changes = stateChanges(rowsOf(checkpoints, old), rowsOf(checkpoints, now));
      for await (const change of changes) {
        counts[change.change]++;
        await output.line(isJson ? changeJson(change) : changeText(change));
      }
    }
  }
  const { added, removed, changed } = counts;
  if (!isJson) await output.line(`${added} added, ${removed} removed, ${changed} changed`);
}

async function twoCheckpoints({
  store,
  pipeline,
  checkpoints,
  between,
}: Asked): Promise<readonly [CheckpointManifest, CheckpointManifest]> {
  const all = await checkpoints.list();
  if (between.length === 0) {
    const [before, after] = all.slice(-2);
    if (before === undefined) throw checkpointNotFound(store, pipeline, null);
    if (after !== undefined) return [before, after];
    throw new UsageError('there is only one checkpoint', 'see `mizzle checkpoints list`');
  }
  const [before, after] = between.map((number) => {
    const manifest = all.find(({ sequence }) => sequence === number);
    if (manifest === undefined) throw checkpointNotFound(store, pipeline, number);
    return manifest;
  });
  return [before!, after!];
}

type Partitions = Pick<OperatorState, 'partitions'>;

/** Where a key is in the same partition of both, they are compared partition by partition. */
function pairsOf(
  before: OperatorState | undefined,
  after: OperatorState | undefined,
): readonly (readonly [Partitions, Partitions])[] {
  const none: Partitions = { partitions: [] };
  if (before?.partitionCount !== after?.partitionCount) return [[before ?? none, after ?? none]];
  return Array.from({ length: after?.partitionCount ?? 0 }, (_, index) => {
    const only = (of: OperatorState | undefined): Partitions => {
      return { partitions: of?.partitions.filter(({ partition }) => partition === index) ?? [] };
    };
    return [only(before), only(after)] as const;
  });
}

function changeText(change: StateChange): string {
  const { row } = change;
  const where = [row.operator, windowText(row), fieldsText(row.keys)].filter((text) => text !== '');
  switch (change.change) {
    case 'added':
      return `+ ${where.join('  ')}  ${fieldsText(row.values)}`;
    case 'removed':
      return `- ${where.join('  ')}  ${fieldsText(row.values)}`;
    default: {
      const changed = Object.keys({ ...change.before.values, ...row.values })
        .map((name) => [name, change.before.values[name], row.values[name]] as const)
        .filter(([, before, after]) => exactJson(before) !== exactJson(after))
        .map(([name, before, after]) => `${name}=${valueText(before)} → ${valueText(after)}`);
      return `~ ${where.join('  ')}  ${changed.join(' ')}`;
    }
  }
}

function changeJson(change: StateChange): string {
  const { operator, startMs, endMs, keys, values } = change.row;
  const place = { change: change.change, operator, startMs, endMs, keys };
  const before = change.change === 'changed' ? change.before.values : values;
  return exactJson({
    ...place,
    before: change.change === 'added' ? null : before,
    after: change.change === 'removed' ? null : values,
  });
}

function rowJson({ operator, partition, startMs, endMs, keys, values }: PartitionRow): string {
  return exactJson({ operator, partition, startMs, endMs, keys, values });
}

function rowsTable(rows: readonly PartitionRow[]): string {
  const [first] = rows as readonly [PartitionRow];
  const keys = Object.keys(first.keys);
  const values = Object.keys(first.values);
  const cells = rows.map((row) => [
    windowText(row),
    ...keys.map((name) => valueText(row.keys[name])),
    ...values.map((name) => valueText(row.values[name])),
  ]);
  return formatTable(['window', ...keys, ...values], cells);
}

function keyOption(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`could not use "${text}" as --key`, 'give NAME=VALUE, such as country=AT');
}

function unknownKey(name: string, known: readonly string[]): UsageError {
  const closest = closestName(name, known);
  const meant = closest === null ? '' : `did you mean "${closest}"? `;
  return new UsageError(
    `could not find "${name}" in the keys of the state`,
    `${meant}there are ${known.map((each) => `"${each}"`).join(', ')}`,
  );
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const outputBytes = 64 * 1024;

/** Standard output, at the pace of whoever reads it. */
class Output {
  #text = '';
  #failed: Error | null = null;

  constructor() {
    process.stdout.once('error', (error) => (this.#failed = error));
  }

  async line(text: string): Promise<void> {
    this.#text += `${text}\n`;
    if (this.#text.length >= outputBytes) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#failed !== null) throw this.#failed;
    const text = this.#text;
    this.#text = '';
    if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain');
  }
}
