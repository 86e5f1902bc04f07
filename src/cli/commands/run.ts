// `mizzle run`: runs a pipeline in this process until its input ends or Ctrl-C.

import process from 'node:process';
import type { JobSummary } from '../../api/job.ts';
import { jobHelp, jobOptions, runOptions } from '../job-options.ts';
import { loadBundledPipeline, loadPipeline } from '../load-pipeline.ts';
import { numberOption, parseOptions } from '../options.ts';
import { runInTerminal, runJobInTerminal } from '../../runtime/terminal/run-in-terminal.ts';

const help = `mizzle run PIPELINE.ts [options] [-- ARGUMENTS]

Runs the pipeline that the file exports as its default, or the one that it runs itself. A bounded
input (files) is processed to its end; an endless one until Ctrl-C or SIGTERM, which finishes what
was read, makes it visible and ends cleanly: with --checkpoints windows stay open and the same
command goes on with them, otherwise they close. A second Ctrl-C ends at once. Arguments behind --
are the file's own: it finds them in process.argv.

Options:
  --workers N          worker threads; 0: everything in one thread (default 2)
  --hosts N            a cluster on this machine for trial: N host processes, each with so many
                       workers as --workers says (default 0: none)
${jobHelp}
Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted twice.

Example:
  mizzle run clicks.ts --workers 4 --interval 50ms
  mizzle run clicks.ts --hosts 3 --workers 2
`;

export const runCommand = {
  summary: 'runs a pipeline',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('run', argv, { ...jobOptions, hosts: { type: 'string' } });
    const { values } = commandLine;
    const terminal = { quiet: values['quiet'] === true };
    const hosts = numberOption('hosts', values['hosts']) ?? 0;
    const options = runOptions(values);
    let summary: JobSummary;
    if (hosts === 0) {
      const { pipeline, url } = await loadPipeline('run', commandLine);
      summary = await runInTerminal(pipeline, { ...options, module: url }, terminal);
    } else {
      const { pipeline, bundle } = await loadBundledPipeline('run', commandLine);
      summary = await runJobInTerminal(pipeline, { ...options, hosts }, terminal, async (own) => {
        const { runOnHosts } = await import('../../runtime/run-job.ts');
        return runOnHosts(pipeline, own, bundle);
      });
    }
    if (values['json'] === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  },
};
