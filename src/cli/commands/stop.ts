// `mizzle stop`: ends a running job that has checkpoints, from anywhere that sees its store.

import process from 'node:process';
import { askDriver } from '../../runtime/storage/ask-driver.ts';
import { durationOption } from '../cluster-options.ts';
import { parseOptions } from '../options.ts';
import { onlyOne, pipelinesOf, storeHelp, storeOf, storeOptions } from '../stored-checkpoints.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle stop --store STORE [options]

Ends the job that keeps its checkpoints in STORE, as Ctrl-C does: all it has read is finished and
visible, its windows stay open, and the same pipeline goes on with them when it runs again. The job
is asked through the store, which it looks at every two seconds. Resolves when it has ended.

${storeHelp}
Options:
  --store STORE        where the job's checkpoints are
  --pipeline NAME      of this pipeline; needed if there are several
  --drain              the input ends and all windows close, which is the end of the history
  --savepoint NAME     the last checkpoint is a savepoint of this name
  --timeout TIME       how long to wait for the end (default 60s)
  --json               one JSON object: pipeline, ending, checkpoint

Exit codes: 0 done, 1 failed, 2 wrong command line.

Example:
  mizzle stop --store state/ --savepoint before-upgrade
`;

export const stopCommand = {
  summary: 'ends a running job that has checkpoints',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('stop', argv, {
      ...storeOptions,
      drain: { type: 'boolean' },
      savepoint: { type: 'string' },
      timeout: { type: 'string' },
    });
    const { values, files } = commandLine;
    if (files.length > 0) {
      throw new UsageError(`could not use "${files[0]}"`, 'see `mizzle stop --help`');
    }
    const store = await storeOf(commandLine);
    const pipeline = onlyOne(store, await pipelinesOf(store, commandLine));
    const savepoint = typeof values['savepoint'] === 'string' ? values['savepoint'] : null;
    const timeoutMs = durationOption('timeout', values['timeout']) ?? 60_000;
    // Without a word it is the job's own affair, as it is for a signal.
    const drain = values['drain'] === true ? true : null;
    const request = { kind: 'stop', drain, savepoint } as const;
    const { checkpoint, ending } = await askDriver(store, { pipeline, request, timeoutMs });
    const kept = checkpoint === null ? 'its last checkpoint failed' : `checkpoint ${checkpoint}`;
    const text = `"${pipeline}" has ended, ${ending}: ${kept}`;
    const answer = { pipeline, ending, checkpoint };
    process.stdout.write(values['json'] === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
    return 0;
  },
};
