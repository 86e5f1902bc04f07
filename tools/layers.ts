// The folders of src/: what each one owns, in one sentence, and what it may import. tidy.ts holds
// every import against this table, and ARCHITECTURE.md's map is drawn from it:
// `node tools/layers.ts` prints the map, `node tools/layers.ts --write` renews it there.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Plane = 'language' | 'control' | 'data' | 'edge';

export type Layer = {
  /** Below src/; a file of src/ itself is a layer of its own. */
  readonly folder: string;
  readonly owns: string;
  /**
   * Imports go to a lower level only, between the control and the data plane not at all, and from
   * pure layers to pure ones.
   */
  readonly level: number;
  readonly plane: Plane;
  /** No Node modules, clock, timer, randomness, network or process; a browser can run it. */
  readonly pure: boolean;
};

export const layers: readonly Layer[] = [
  language(0, 'base', 'what a standard library could hold; knows no streaming word'),
  language(1, 'schema', 'column types and row schemas'),
  language(2, 'expr', 'expressions as a typed tree'),
  language(3, 'plan', 'logical plan → rules → physical plan, as immutable data; explain'),
  language(5, 'api', 'the typed fluent builder; builds a plan, runs nothing'),

  control(3, 'control', 'limits.ts: every bound with its reason'),
  control(4, 'control/protocol', 'ids, messages, wire codec, protocol version'),
  control(5, 'control/driver', 'templates, groups, placement, membership, group size'),
  control(5, 'control/worker', 'the local scheduler: what is missing, what may run, what to keep'),

  control(
    5,
    'control/storage',
    'protocols over a store of blobs, step by step: checkpoints, lease, journal, range log',
  ),

  data(2, 'data/columnar', 'vectors, batches, their bytes'),
  data(4, 'data/snapshot', 'the bytes of state: columns, sections, checksums, what they are of'),
  data(5, 'data/state', 'keyed tables, windows, deltas and snapshots'),
  data(3, 'data/shuffle', 'which partition a key belongs to'),
  data(
    6,
    'data/codegen',
    'stage → JavaScript kernel (the only place that makes functions of text)',
  ),
  data(7, 'data/task', 'one task of one micro-batch: inputs + kernel + state → blocks, outputs'),

  pureEdge(4, 'ports', 'Clock, Transport, Source, Sink …: the only interfaces'),
  pureEdge(7, 'observe', 'metrics, trace events, status model'),
  pureEdge(7, 'connectors', 'what sinks share: who fences whom, a ledger, rows as text'),
  edge(8, 'connectors/memory', 'rows from and to arrays and callbacks'),
  edge(8, 'connectors/generator', 'seeded and paced synthetic events'),
  edge(8, 'connectors/files', 'JSON lines and CSV in, JSON lines out, standard input'),
  edge(8, 'connectors/console', 'a table that redraws'),
  edge(7, 'runtime/storage', 'stores and logs that are real: a folder, an object store'),
  edge(8, 'connectors/postgres', 'rows into a PostgreSQL table; the only user of the package pg'),
  pureEdge(8, 'connectors/kafka', 'Kafka topics in and out, over a wire that may be simulated'),
  edge(
    9,
    'connectors/kafka/formats',
    'Avro, Protobuf and schema registries; the only user of avsc and protobufjs',
  ),
  edge(10, 'connectors/kafka/sockets', 'Kafka for real; the only user of @platformatic/kafka'),
  edge(11, 'runtime/host', 'what every shell that runs tasks for real shares'),
  edge(12, 'runtime/inline', 'all machines in one thread'),
  edge(12, 'runtime/embedded', 'driver and workers as threads of one process'),
  edge(12, 'runtime/cluster', 'driver, hosts and their workers as processes, over TCP'),
  pureEdge(9, 'sim', 'virtual clock, network, faults, scenarios, checkers'),
  edge(13, 'runtime', 'run-job.ts: a plan, its bindings and options → the shell that runs it'),
  edge(14, 'runtime/terminal', 'a job for a person: live view, Ctrl-C, summary'),
  edge(14, 'testing', 'what users need to test their pipelines'),
  edge(15, 'index.ts', 'the public entry, explicit names only'),
  edge(16, 'cli', 'the command line'),
];

const planes: readonly Plane[] = ['language', 'control', 'data', 'edge'];

function language(level: number, folder: string, owns: string): Layer {
  return { folder, owns, level, plane: 'language', pure: true };
}

function control(level: number, folder: string, owns: string): Layer {
  return { folder, owns, level, plane: 'control', pure: true };
}

function data(level: number, folder: string, owns: string): Layer {
  return { folder, owns, level, plane: 'data', pure: true };
}

function edge(level: number, folder: string, owns: string): Layer {
  return { folder, owns, level, plane: 'edge', pure: false };
}

function pureEdge(level: number, folder: string, owns: string): Layer {
  return { folder, owns, level, plane: 'edge', pure: true };
}

/** The layer that holds a file, given by its path from the repository's root. */
export function layerOf(path: string, table: readonly Layer[] = layers): Layer | undefined {
  if (!path.startsWith('src/')) return undefined;
  const inside = path.slice('src/'.length);
  return table
    .filter(({ folder }) => inside === folder || inside.startsWith(`${folder}/`))
    .toSorted((a, b) => b.folder.length - a.folder.length)[0];
}

/** Why `from` may not import `to`, or null if it may. */
export function forbidden(from: Layer, to: Layer): string | null {
  if (from.folder === to.folder) return null;
  const pair = [from.plane, to.plane];
  if (pair.includes('control') && pair.includes('data')) {
    return `the control and data planes never import each other`;
  }
  if (from.pure && !to.pure) return `${to.folder} is not pure, ${from.folder} is`;
  if (to.level < from.level) return null;
  const levels = `${from.folder} is ${from.level}, ${to.folder} ${to.level}`;
  return `imports go to a lower level only (${levels})`;
}

/** The map for ARCHITECTURE.md: a row per level, a column per plane, then a sentence per folder. */
export function drawMap(table: readonly Layer[] = layers): string {
  const levels = [...new Set(table.map(({ level }) => level))].toSorted((a, b) => b - a);
  const rows = levels.map((level) => {
    const cells = planes.map((plane) =>
      table
        .filter((layer) => layer.level === level && layer.plane === plane)
        .map((layer) => layer.folder.replace(/^(control|data)\//, ''))
        .reduce(joinFolders, ''),
    );
    return [String(level), ...cells];
  });
  const head = ['', 'language', 'control/', 'data/', 'edges'];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const lines = [head, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );

  const width = Math.max(...table.map(({ folder }) => folder.length));
  const sentences = table.map(({ folder, owns }) => `${folder.padEnd(width)}  ${owns}`);
  return ['```text', ...lines, '', ...sentences, '```'].join('\n');
}

/** `connectors/memory · files`: a parent that is the same as before is not repeated. */
function joinFolders(cell: string, folder: string): string {
  if (cell === '') return folder;
  const parent = cell
    .split(' · ')
    .findLast((name) => name.includes('/'))
    ?.split('/')[0];
  const shown = folder.startsWith(`${parent}/`) ? folder.slice(folder.indexOf('/') + 1) : folder;
  return `${cell} · ${shown}`;
}

const mapBegin = '<!-- map: begin (node tools/layers.ts --write) -->';
const mapEnd = '<!-- map: end -->';

/** `text` with a fresh map between the markers, or null if it has no markers. */
export function withFreshMap(text: string, map: string = drawMap()): string | null {
  const begin = text.indexOf(mapBegin);
  const end = text.indexOf(mapEnd);
  if (begin < 0 || end < begin) return null;
  return `${text.slice(0, begin + mapBegin.length)}\n\n${map}\n\n${text.slice(end)}`;
}

function main(args: readonly string[]): void {
  if (!args.includes('--write')) {
    console.log(drawMap());
    return;
  }
  const file = join(import.meta.dirname, '..', 'ARCHITECTURE.md');
  const fresh = withFreshMap(readFileSync(file, 'utf8'));
  if (fresh === null) {
    console.error(`ARCHITECTURE.md has no lines ${mapBegin} and ${mapEnd}`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(file, fresh);
}

if (import.meta.main) main(process.argv.slice(2));
