import { test } from 'node:test';
import type { RowObject } from '../../schema/data-type.ts';
import { conformanceSchema, checkReopening, checkZombies } from '../../testing/sink-conformance.ts';
import type { NewWorld } from '../../testing/sink-conformance.ts';
import { consoleTable } from './console-table.ts';

const newWorld: NewWorld = async () => {
  let text = '';
  const columns = conformanceSchema.fields.map(({ name }) => name);
  const sink = consoleTable({ columns, output: { write: (more) => (text += more) } });
  return { sink: () => sink, visible: async () => rowsIn(text), fencesForeignRows: true };
};

/** `partition=0 batch=2 row=1 text=…`, where control characters are shown as `?`. */
function rowsIn(text: string): RowObject[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, partition, batch, row, shown] =
        /^partition=(\d+) batch=(\d+) row=(\d+) text=(.*)$/.exec(line)!;
      const value = shown!.replace('?', '\t').replace('?', '\n');
      return {
        partition: Number(partition),
        batch: Number(batch),
        row: Number(row),
        text: value === '' ? null : value,
      };
    });
}

test('consoleTable: fences writers that were replaced and repeats nothing', async () => {
  await checkZombies(newWorld, { term: 2 });
  await checkReopening(newWorld);
});
