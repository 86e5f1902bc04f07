// Every @example of the public API compiles: they are cut out of the comments, put into one file
// that imports the public entry, and checked by the compiler.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');

const documented = [
  'src/api/aggregates.ts',
  'src/api/pipeline.ts',
  'src/api/scope.ts',
  'src/api/stream.ts',
  'src/api/table.ts',
  'src/api/windows.ts',
  'src/connectors/console/console-table.ts',
  'src/connectors/files/file-sink.ts',
  'src/connectors/files/files.ts',
  'src/connectors/generator/row-generator.ts',
  'src/connectors/generator/ysb-generator.ts',
  'src/connectors/memory/collect.ts',
  'src/connectors/memory/memory-bytes.ts',
  'src/connectors/memory/memory-rows.ts',
  'src/connectors/postgres/postgres.ts',
  'src/expr/expression.ts',
  'src/runtime/terminal/run-in-terminal.ts',
  'src/schema/column-type.ts',
  'src/schema/schema.ts',
  'src/testing/simulate.ts',
];

/** What the examples take for granted. */
const prelude = `
import {
  approxCountDistinct, avg, boolean, collect, consoleTable, count, countDistinct, csv,
  customAggregate, files, first, float64, forEach, generator, hopping, iff, int32, json, jsonLines,
  last, literal, max, memory, memoryBytes, min, pipeline, runInTerminal, schema, session, string,
  sum, table, timestamp, topK, tumbling, ysbAds, ysbEvent, ysbGenerator,
} from '${root}/src/index.ts';
import { postgres } from '${root}/src/connectors/postgres/postgres.ts';
import { checkDeterminism, simulate } from '${root}/src/testing/index.ts';
import type { Row, TypedSink, TypedSource } from '${root}/src/index.ts';
const Everything = schema({
  ad_id: string(), campaign_id: string(), event_type: string(), event_time: timestamp('ms'),
  at: timestamp(), kind: string(), price: float64(), quantity: int32(), url: string(),
  user: string(), user_id: string(), host: string(), load: float64(), temperature: float64(),
  shop: string(), item: string(), page: string(), text: string(), name: string(),
  large: string(), small: string(),
});
declare const source: TypedSource<typeof Everything.columns>;
declare const sink: TypedSink<unknown>;
declare const archive: TypedSink<unknown>;
declare const results: TypedSink<unknown>;
declare const lateRows: TypedSink<unknown>;
const ads = table('ads', { ad_id: string(), campaign_id: string() }, []);
const stream = pipeline('examples').from(source, { time: 'event_time' });
const [clicks, views, purchases] = [stream, stream, stream];
const windows = stream.groupBy('kind').window(tumbling('1m'));
const campaigns = stream.to(sink);
`;

type Example = { readonly origin: string; readonly code: string };

function examplesIn(file: string): readonly Example[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    if (!/^\s*\* @example$/.test(line)) return [];
    const rest = lines.slice(index + 1);
    const end = rest.findIndex((one) => /^\s*\*\/$/.test(one) || /^\s*\* @/.test(one));
    const code = rest.slice(0, end).map((one) => one.replace(/^\s*\* ?/, ''));
    return [{ origin: `${file}:${index + 1}`, code: code.join('\n') }];
  });
}

test('every example of the public API compiles', (context) => {
  const examples = documented.flatMap(examplesIn);
  assert.ok(examples.length >= 30, `only ${examples.length} examples were found`);
  const blocks = examples.map(({ origin, code }, index) => {
    return `// ${origin}\nasync function example${index}() {\n${code}\n}\n`;
  });
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-examples-'));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'examples.mts'), prelude + blocks.join('\n'));
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noUnusedLocals: false,
      rewriteRelativeImportExtensions: false,
      noUnusedParameters: false,
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: ['examples.mts'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const result = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', cwd: root });
  const own = result.stdout.split('\n').filter((line) => line.includes('examples.mts('));
  assert.deepEqual(own, []);
});
