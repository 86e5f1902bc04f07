// `mizzle savepoint`: a running job makes a checkpoint that stays. It is asked through its store.

import process from 'node:process';
import { askDriver } from '../../runtime/storage/ask-driver.ts';
import { durationOption } from '../cluster-options.ts';
import { parseOptions } from '../options.ts';
import { onlyOne, pipelinesOf, storeHelp, storeOf, storeOptions } from '../stored-checkpoints.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle savepoint --store STORE [options]

Asks the job that keeps its checkpoints in STORE for one that nobody deletes but you. The job is
asked through the store, which it looks at every two seconds: no port and no host are needed.

\`mizzle checkpoints list\` shows savepoints, \`mizzle checkpoints delete NUMBER\` gives one up, and
\`mizzle run … --from NUMBER\`, or its name, starts from one.

${storeHelp}
Options:
  --store STORE        where the job's checkpoints are
  --pipeline NAME      of this pipeline; needed if there are several
  --name NAME          letters, digits, ".", "_" and "-", not digits alone (default: the time)
  --timeout TIME       how long to wait for it (default 60s)
  --json               one JSON object: pipeline, number, name

Exit codes: 0 done, 1 failed, 2 wrong command line.

Example:
  mizzle savepoint --store state/ --name before-upgrade
`;

export const savepointCommand = {
  summary: 'makes a running job keep a checkpoint for good',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('savepoint', argv, {
      ...storeOptions,
      name: { type: 'string' },
      timeout: { type: 'string' },
    });
    const { values, files } = commandLine;
    if (files.length > 0) {
      throw new UsageError(`could not use "${files[0]}"`, 'see `mizzle savepoint --help`');
    }
    const store = await storeOf(commandLine);
    const pipeline = onlyOne(store, await pipelinesOf(store, commandLine));
    const name = typeof values['name'] === 'string' ? values['name'] : null;
    const timeoutMs = durationOption('timeout', values['timeout']) ?? 60_000;
    const request = { kind: 'savepoint', name } as const;
    const { checkpoint, name: made } = await askDriver(store, { pipeline, request, timeoutMs });
    const answer = { pipeline, number: checkpoint, name: made };
    const text = `checkpoint ${checkpoint} of "${pipeline}" is the savepoint "${made}"`;
    process.stdout.write(values['json'] === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
    return 0;
  },
};
