// `mizzle demo`: a shop's orders, made up as they come, counted and summed live. It shows what a
// pipeline looks like and that the installation works.

import process from 'node:process';
import { numberOption, parseOptions } from '../options.ts';
import { runInTerminal } from '../../runtime/terminal/run-in-terminal.ts';
import { demoPipeline } from '../demo-pipeline.ts';

const help = `mizzle demo [options]

Runs a small pipeline over made-up orders: revenue and the biggest order per country, every two
seconds of event time, in a table that redraws. Its whole code is printed by \`mizzle demo --code\`.

Options:
  --seconds N          how long (default 10)
  --rate N             orders per second (default 2000)
  --code               print the pipeline instead of running it
`;

const code = `pipeline('demo')
  .from(orders, { time: 'at' })
  .filter((e) => e.amount.gt(5))
  .groupBy('country')
  .window(tumbling('2s'))
  .aggregate((e) => ({ orders: count(), revenue: sum(e.amount), biggest: max(e.amount) }))
  .to(consoleTable({ key: ['country'] }));
`;

export const demoCommand = {
  summary: 'runs a small pipeline over made-up data',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const { values } = parseOptions('demo', argv, {
      seconds: { type: 'string' },
      rate: { type: 'string' },
      code: { type: 'boolean' },
    });
    if (values['code'] === true) {
      process.stdout.write(code);
      return 0;
    }
    const seconds = numberOption('seconds', values['seconds']) ?? 10;
    const rate = numberOption('rate', values['rate']) ?? 2000;
    await runInTerminal(demoPipeline({ seconds, rate }), { workers: 0 });
    return 0;
  },
};
